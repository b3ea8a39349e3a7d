"""Another user of this machine reads a link to the status page where everybody can, and is there first."""

import os
import subprocess
import sys

import anyio.to_thread
import httpx
import pytest

from tests.hostile.recorder import Recorder
from tests.hostile.scene import before

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="only root can become another user, and only Linux tells"
    ),
]
NOBODY = 65_534
ASK = 'exec 3<>"/dev/tcp/$1/$2"; printf "GET $3 HTTP/1.1\\r\\nHost: $4\\r\\nConnection: close\\r\\n\\r\\n" >&3; cat <&3'


def asked_by(user: int, link: httpx.URL) -> str:
    """The answer that this user gets."""
    words = ["bash", "-c", ASK, "bash", link.host, str(link.port), link.raw_path.decode(), link.netloc.decode()]
    told = subprocess.run(words, user=user, group=user, extra_groups=(), stdout=subprocess.PIPE, timeout=20, check=True)
    return told.stdout.decode()


async def test_a_link_opens_for_who_started_tidegate_alone(
    recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with before(recorder.url, tmp_path_factory.mktemp("data")) as scene:
        link = httpx.URL(scene.stage.core.page_link())

        theirs = await anyio.to_thread.run_sync(asked_by, NOBODY, link)
        mine = await anyio.to_thread.run_sync(asked_by, os.getuid(), link)

    assert theirs.startswith("HTTP/1.1 403 ")
    assert "another user" in theirs
    assert "set-cookie" not in theirs.lower()
    assert mine.startswith("HTTP/1.1 200 ")
    assert "set-cookie: tidegate_page=" in mine.lower()
