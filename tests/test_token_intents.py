import stat
from pathlib import Path

import pytest

from core.files import Paths
from core.model import AccountId, OAuthTokens
from core.token_intents import Intents

pytestmark = pytest.mark.anyio
ANNA = AccountId("anna")
TOKENS = OAuthTokens("access", "refresh-secret", 1.0)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "data")
    paths.create()
    return paths


async def test_an_intent_holds_for_the_token_it_was_written_for_and_no_other(paths: Paths) -> None:
    await Intents(paths).write(ANNA, 3, TOKENS, 17.0)
    intents = Intents(paths)

    assert await intents.holds(ANNA, 3, TOKENS)
    assert not await intents.holds(ANNA, 4, TOKENS)
    assert not await intents.holds(ANNA, 3, OAuthTokens("access", "another", 1.0))
    assert not await intents.holds(AccountId("bert"), 3, TOKENS)


async def test_an_intent_is_gone_when_removed_and_removing_twice_is_fine(paths: Paths) -> None:
    intents = Intents(paths)
    await intents.write(ANNA, 3, TOKENS, 17.0)

    await intents.remove(ANNA)
    await intents.remove(ANNA)

    assert not await intents.holds(ANNA, 3, TOKENS)


async def test_an_intent_is_for_its_owner_only_and_names_no_token(paths: Paths) -> None:
    await Intents(paths).write(ANNA, 3, TOKENS, 17.0)

    (file,) = (paths.root / "locks").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"refresh" not in file.read_bytes()
    assert b"secret" not in file.read_bytes()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"generation":"3"}', b"\xff"])
async def test_an_unreadable_intent_is_none(paths: Paths, content: bytes) -> None:
    await Intents(paths).write(ANNA, 3, TOKENS, 17.0)
    (file,) = (paths.root / "locks").iterdir()
    file.write_bytes(content)

    assert not await Intents(paths).holds(ANNA, 3, TOKENS)


async def test_a_folder_that_takes_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        await Intents(Paths(tmp_path / "missing")).write(ANNA, 3, TOKENS, 17.0)
