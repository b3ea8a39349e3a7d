import sys
from collections.abc import Iterator

import pytest

from core.descriptors import OWN, allow

if sys.platform == "win32":
    pytest.skip("Windows knows no such limit", allow_module_level=True)

import resource


@pytest.fixture(autouse=True)
def hard() -> Iterator[int]:
    """What the system allows at most; what it allows now is little while a test runs."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def now() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_each_client_has_room_for_a_connection_to_its_provider() -> None:
    allow(300)
    assert now() == 600 + OWN


def test_more_than_the_system_allows_is_as_much_as_it_allows(hard: int) -> None:
    if hard == resource.RLIM_INFINITY:
        hard = 4096
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, resource.RLIM_INFINITY))
    allow(hard)
    assert now() in {hard, 2 * hard + OWN}
    assert now() > 512


def test_a_limit_that_is_high_enough_stays() -> None:
    allow(10)
    assert now() == 512
