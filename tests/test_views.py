from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.errors import UsageError
from core.views import drawn
from tests.instance import Instance, instance

pytestmark = pytest.mark.anyio


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Instance]:
    async with instance(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "asked", "told"),
    [
        ("charts", {}, 'value="1" checked'),
        ("charts", {"days": "30"}, 'value="30" checked'),
        ("activity", {}, "Nothing has happened yet"),
        ("activity", {"account": "Work"}, '<option value="Work" selected>'),
        ("activity", {"wrong": "1"}, 'value="1" checked'),
        ("log", {"level": "warning"}, '<option value="warning" selected>'),
        ("settings", {}, 'data-setting="strategy"'),
    ],
)
async def test_a_view_shows_what_its_form_asks_for(
    here: Instance, name: str, asked: Mapping[str, str], told: str
) -> None:
    await here.commands.run("add_key", {"kind": "go", "key": "sk-go", "label": "Work"})

    assert told in await drawn(name, asked, here.commands.run)


@pytest.mark.parametrize(
    ("name", "asked"), [("nothing", {}), ("charts", {"days": "2"}), ("charts", {"days": "٣"}), ("log", {"level": "x"})]
)
async def test_what_no_form_asks_for_is_refused(here: Instance, name: str, asked: Mapping[str, str]) -> None:
    with pytest.raises(UsageError):
        await drawn(name, asked, here.commands.run)


async def test_a_view_changes_nothing(here: Instance) -> None:
    ordered: list[str] = []

    async def ask(name: str, given: Mapping[str, Any]) -> Any:
        ordered.append(name)
        return await here.commands.run(name, given)

    for name in ("charts", "activity", "log", "settings"):
        await drawn(name, {}, ask)

    assert set(ordered) == {"quota", "usage", "requests", "history", "snapshot", "log", "config_get"}
