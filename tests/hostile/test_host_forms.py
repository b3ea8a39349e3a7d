"""T13, over raw connections: every form of `Host`, target and `Origin` that the guard is tested with, and no CORS."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests import test_guard as forms
from tests.hostile.recorder import Recorder
from tests.hostile.scene import Scene, before
from tests.raw import Client

pytestmark = pytest.mark.anyio


def table(test: Any, argument: str) -> Sequence[Any]:
    """What a test of the guard is given for an argument."""
    return next(mark.args[1] for mark in test.pytestmark if mark.name == "parametrize" and mark.args[0] == argument)


HOSTS = table(forms.test_any_other_host_is_misdirected_whatever_key_it_brings, "host")
SECOND = table(forms.test_two_hosts_are_misdirected, "second")
TARGETS = [target for target in table(forms.test_only_a_plain_path_is_served, "target") if target]
FOREIGN = table(forms.test_no_foreign_web_page_is_answered_whatever_it_brings, "line")


@pytest.fixture(scope="module")
async def scene(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with before(recorder.url, tmp_path_factory.mktemp("data")) as scene:
        yield scene


def with_port(text: bytes, scene: Scene) -> bytes:
    """The table's port is 8433; this instance has its own."""
    return text.replace(b"8433", b"%d" % scene.port).replace(b"20f1", b"%x" % scene.port)


def written(scene: Scene) -> list[tuple[bytes, bytes]]:
    """Each form as a target and header lines; all of them with the key, so that only the form is at fault."""
    key = b"X-Api-Key: %s\r\n" % scene.stage.key.encode()
    good = b"Host: 127.0.0.1:%d\r\n" % scene.port
    written = [
        (b"/v1/messages", key + (b"" if host is None else b"Host: " + with_port(host, scene) + b"\r\n"))
        for host in HOSTS
        if not (host or b"").endswith(b"8433 ")
    ]
    written += [(b"/v1/messages", key + good + b"Host: " + with_port(host, scene) + b"\r\n") for host in SECOND]
    written += [(with_port(target, scene), key + good) for target in TARGETS]
    written += [
        (b"/v1/messages", key + good + name + b": " + with_port(value, scene) + b"\r\n") for name, value in FOREIGN
    ]
    return written


async def test_no_form_of_another_place_reaches_a_provider_or_is_allowed_to_read(
    scene: Scene, recorder: Recorder
) -> None:
    shapes = written(scene)
    assert len(shapes) > 70
    accepted = []
    for target, lines in shapes:
        for method in (b"POST", b"GET", b"OPTIONS"):
            async with Client.to(scene.port) as client:
                await client.send(method + b" " + target + b" HTTP/1.1\r\n" + lines + b"\r\n")
                reply = await client.reply()
            if reply.status not in {400, 403, 421} or any(name.startswith("access-control-") for name in reply.headers):
                accepted.append((method, target, lines, reply.status))
    assert accepted == []
    assert recorder.arrived == []
    assert (await scene.ask()).status == 200  # the good form is served
