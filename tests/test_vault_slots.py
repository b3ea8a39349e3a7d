import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import VaultError
from core.model import ApiKey
from core.vault_slots import Slots, Stored
from tests.fakes_vault import MemoryBackend, login


class PowerCut(Exception):
    """The machine stopped in the middle of a write."""


class TornBackend(MemoryBackend):
    """Stops at the n-th write, of which `share` characters arrive."""

    def __init__(self, items: dict[str, str], writes: int, share: int) -> None:
        super().__init__()
        self.items = dict(items)
        self.writes = writes
        self.share = share

    def set(self, key: str, secret: str) -> None:
        if self.writes == 0:
            if self.share:
                super().set(key, secret[: self.share])
            else:
                self.items.pop(key, None)  # macOS deletes before it adds
            raise PowerCut
        self.writes -= 1
        super().set(key, secret)


def stored(generation: int, length: int = 0) -> Stored:
    return Stored(generation, login(generation, length=length))


@given(
    lengths=st.lists(st.integers(0, 2_500), min_size=3, max_size=4),
    writes=st.integers(0, 5),
    share=st.integers(0, 1_300),
)
def test_a_write_cut_anywhere_leaves_the_old_generation_or_the_new_one(
    lengths: list[int], writes: int, share: int
) -> None:
    whole = MemoryBackend()
    *before, last = [stored(number, length) for number, length in enumerate(lengths, 1)]
    for each in before:
        Slots(whole).write("anna", each)
    torn = TornBackend(whole.items, writes, share)

    try:
        Slots(torn).write("anna", last)
    except (PowerCut, VaultError):
        assert Slots(torn).newest("anna") in (before[-1], last)
    else:
        assert Slots(torn).newest("anna") == last

    again = MemoryBackend()
    again.items = torn.items
    Slots(again).write("anna", last)
    assert Slots(again).newest("anna") == last


def test_the_newest_slot_is_never_written_also_when_a_generation_was_left_out() -> None:
    backend = MemoryBackend()
    slots = Slots(backend)
    slots.write("anna", stored(1))
    before = dict(backend.items)

    slots.write("anna", stored(3))

    assert {key: backend.items[key] for key in before} == before
    assert slots.newest("anna") == stored(3)


@pytest.mark.parametrize("secret", ["x" * 9_000, "☃" * 2_000, "𝄞" * 900, '"\\' * 3_000])
def test_no_item_is_longer_than_windows_takes(secret: str) -> None:
    backend = MemoryBackend()

    Slots(backend).write("anna", Stored(1, ApiKey(secret)))

    assert len(backend.items) > 1
    assert max(len(item.encode("utf-16-le")) for item in backend.items.values()) <= 2_560
    assert Slots(backend).newest("anna") == Stored(1, ApiKey(secret))


def test_a_secret_beyond_all_reason_is_refused_before_anything_is_written() -> None:
    backend = MemoryBackend()

    with pytest.raises(VaultError, match="too long"):
        Slots(backend).write("anna", Stored(1, ApiKey("x" * 30_000)))

    assert backend.items == {}


@pytest.mark.parametrize(
    "foreign",
    ["", "not ours", "9.0/1:{}", '9.0/1:{"gen":9,"sha":"0","api_key":{"key":"stolen"}}', "9.0/99:[]", "9.0/1:\ud800"],
)
def test_a_foreign_item_under_our_name_is_not_read_and_does_not_hide_ours(foreign: str) -> None:
    backend = MemoryBackend()
    slots = Slots(backend)
    for generation in (1, 2):
        slots.write("anna", stored(generation))
    for key in list(backend.items):
        backend.duplicates[key] = [foreign]

    assert slots.newest("anna") == stored(2)
    slots.write("anna", stored(3))
    assert slots.newest("anna") == stored(3)


def test_an_old_copy_of_our_own_item_does_not_hide_the_newest_one() -> None:
    backend = MemoryBackend()
    slots = Slots(backend)
    for generation in (1, 2):
        slots.write("anna", stored(generation, 2_000))
    backend.duplicates = {key: [item] for key, item in backend.items.items()}  # a keychain restored from a copy
    for generation in (3, 4):
        slots.write("anna", stored(generation, 2_000))

    assert slots.newest("anna") == stored(4, 2_000)


def test_a_store_that_keeps_nothing_is_found_out_when_writing() -> None:
    class Null(MemoryBackend):
        def set(self, key: str, secret: str) -> None:
            """Say yes and do nothing, as keyring's null back end does."""

    with pytest.raises(VaultError, match="did not keep"):
        Slots(Null()).write("anna", stored(1))


def test_two_damaged_slots_are_told_in_the_log_kept_and_give_way_to_a_new_sign_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = MemoryBackend()
    slots = Slots(backend)
    for generation in (1, 2):
        slots.write("anna", stored(generation))
    backend.items = {key: item.replace("refresh", "refrash") for key, item in backend.items.items()}
    damaged = dict(backend.items)

    assert slots.newest("anna") is None
    assert "anna: 2 of 2 stored copies are damaged" in caplog.text
    assert backend.items == damaged
    slots.write("anna", stored(1))
    assert slots.newest("anna") == stored(1)
