"""Examples of docs/clients.md, done as a reader does them, with simulated accounts behind Tidegate."""

import os
import sys

import anyio
import pytest

from tests.pages import ROOT, Page
from tests.stage import Stage

pytestmark = pytest.mark.anyio

BLOCKS = Page.read(ROOT / "docs" / "clients.md").blocks


async def test_the_example_for_pythons_sdk_prints_who_served_and_the_answer(stage: Stage) -> None:
    await stage.api_key("Work")
    (example,) = (block.text for block in BLOCKS if block.language == "python")
    (exported,) = (block.text for block in BLOCKS if "export ANTHROPIC_BASE_URL" in block.text)
    names = [line.removeprefix("export ").partition("=")[0] for line in exported.splitlines()]
    environ = {**os.environ, **dict(zip(names, (stage.url, stage.key), strict=True))}

    with anyio.fail_after(60):
        done = await anyio.run_process([sys.executable, "-c", example], env=environ)

    assert done.stdout.decode().startswith("Work served: ")
    assert "Say hello." in done.stdout.decode()
