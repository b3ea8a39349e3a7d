"""The real clients in front of Tidegate and the simulated provider: no account, no network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from tests.clients.install import NotInstalled, Programs, cache_folder, installed
from tests.clients.island import island
from tests.clients.stage import Stage, on_stage


@pytest.fixture(scope="session")
def programs() -> Programs:
    try:
        return installed(cache_folder())
    except NotInstalled as exc:
        problem = str(exc)
    pytest.fail(problem, pytrace=False)


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with island() as portal:
        yield portal


@pytest.fixture
def stage(portal: BlockingPortal, tmp_path: Path) -> Iterator[Stage]:
    with portal.wrap_async_context_manager(on_stage(portal, tmp_path)) as stage:
        yield stage
