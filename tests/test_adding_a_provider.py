"""docs/adding-a-provider.md works: its provider runs as it stands, and its list of places is held against the code."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

import pytest

from core.attempt import Attempt
from core.exchange import Incoming
from core.model import AccountKind, Endpoints, Outcome, ProviderName, QuotaSpent, Request, Served, UpstreamFailed
from core.providers.base import Provider
from core.providers.headers import Headers
from core.upstream import Upstream
from tests.pages import ROOT, Page
from tests.raw import Peer, answer, played

pytestmark = pytest.mark.anyio

PAGE = Page.read(ROOT / "docs" / "adding-a-provider.md")
FILE, ITS_TESTS = (block.text for block in PAGE.blocks if block.language == "python")
(RECORDED,) = (block.text for block in PAGE.blocks if block.language == "text")
ELSEWHERE = ("core/imports", "core/simulator", "core/providers/opencode_go.py")
"""What reads other programs' files; the simulator, which the page names whole; the provider's own file."""


def run(*sources: str) -> Mapping[str, Any]:
    """What blocks of the page define, one after the other."""
    names: dict[str, Any] = {"__name__": "example"}
    for source in sources:
        exec(compile(source, PAGE.path.name, "exec"), names)
    return names


def example() -> Provider:
    provider: Provider = run(FILE)["ExampleAi"]()
    return provider


TESTS = {name: test for name, test in run(FILE, ITS_TESTS).items() if name.startswith("test_")}


@pytest.mark.parametrize("name", TESTS)
def test_the_pages_own_tests_pass(name: str) -> None:
    TESTS[name]()


def test_the_recorded_answer_is_the_one_on_the_page() -> None:
    assert (ROOT / "tests" / "wire" / "example-429.http").read_text(encoding="utf-8") == RECORDED


def test_the_example_has_every_method_of_a_provider_with_its_arguments() -> None:
    provider = type(example())
    for name, method in inspect.getmembers(Provider, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(provider, name)) == inspect.signature(method), name


@pytest.mark.parametrize(
    ("replied", "kind"),
    [
        (answer(b'{"content":[]}', b"content-type: application/json"), Served),
        (answer(b"{}", b"x-example-spent: 1", status=b"429 Too Many Requests"), QuotaSpent),
        (answer(b"", status=b"503 Service Unavailable"), UpstreamFailed),
    ],
)
async def test_the_example_serves_a_real_request(replied: bytes, kind: type[Outcome]) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(replied)

    asked = Incoming(b"POST", b"/example/v1/messages", Headers([(b"X-Api-Key", b"tg-local")]), body=b"{}")
    upstream = Upstream(lambda: pytest.fail("no TLS here"))
    async with played(script) as service:
        attempt = Attempt(example(), Request(ProviderName.ANTHROPIC), asked, lambda: 1_795_272_000.0)
        outcome = await attempt.send(upstream, Endpoints(anthropic_api_url=f"{service.url}/api"), "the key")
        attempt.close()
        upstream.close()

    assert isinstance(outcome, kind)
    (got,) = service.requests
    assert got.lines[0] == b"POST /api/v1/messages HTTP/1.1"
    assert b"authorization: Bearer the key" in got.lines
    assert b"tg-local" not in got.head


def test_every_place_that_names_a_kind_of_account_is_on_the_page() -> None:
    named = set(re.findall(r"`((?:core|tray)/[\w/]+\.py)`", PAGE.text))
    last = f"{AccountKind.__name__}.{AccountKind.GO.name}", f"{ProviderName.__name__}.{ProviderName.OPENCODE_GO.name}"
    files = [*(ROOT / "core").rglob("*.py"), *(ROOT / "tray").rglob("*.py")]
    sources = {path: path.read_text(encoding="utf-8") for path in files}
    places = {path.relative_to(ROOT).as_posix() for path, text in sources.items() if any(name in text for name in last)}
    assert places
    assert {place for place in places if not place.startswith(ELSEWHERE)} <= named
