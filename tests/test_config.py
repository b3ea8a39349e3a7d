import contextlib
import json
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import msgspec
import pytest
from msgspec.structs import replace

from core import config
from core.config import Config, ConfigFile
from core.errors import TidegateError
from core.model import Account, AccountId, AccountKind, HealthScore, Identity, QuietHours, Serves, Settings, Strategy

WORK = Account(AccountId("work"), "Work", AccountKind.API_KEY, Identity(account_uuid="key:0123"), added_at=1.0)
HOME = Account(AccountId("home"), "Home", AccountKind.GO, enabled=False, serves=Serves.CLAUDE_CODE)
BOTH = Config(install_id="abc", local_key_sha256="f" * 64, accounts=(WORK, HOME))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def test_without_a_file_there_is_a_fresh_config_and_no_problem(path: Path) -> None:
    first, second = config.load(path), config.load(path)

    assert first.problem is None
    assert first.config.accounts == ()
    assert first.config.settings == Settings()
    assert len(first.config.install_id) >= 16
    assert first.config.install_id != second.config.install_id
    assert not path.exists()


def test_what_is_saved_is_loaded(path: Path) -> None:
    chosen = replace(BOTH, settings=Settings(port=9000, strategy=Strategy.STICKY, hold_s=1.5, log="debug"))

    config.save(path, chosen)

    assert config.load(path) == config.Loaded(chosen, None)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.with_name("config.json.bak").stat().st_mode & 0o777 == 0o600


def test_settings_at_their_default_are_not_written(path: Path) -> None:
    config.save(path, replace(BOTH, settings=Settings(port=9000)))
    assert json.loads(path.read_bytes())["settings"] == {"port": 9000}

    config.save(path, BOTH)
    assert json.loads(path.read_bytes())["settings"] == {}


def test_quiet_hours_which_are_none_by_default_are_saved_whole(path: Path) -> None:
    settings = Settings(quiet_hours=QuietHours(22 * 60, 7 * 60))

    config.save(path, replace(BOTH, settings=settings))

    assert config.load(path).config.settings == settings


def test_a_number_of_hybrid_beyond_its_bounds_is_taken_as_the_nearest(path: Path) -> None:
    path.write_bytes(_with(settings={"health_score": {"initial": 250, "min_usable": 40}, "token_bucket": {}}))

    loaded = config.load(path)

    assert loaded.problem is None
    assert loaded.config.settings == Settings(health_score=HealthScore(initial=100.0, min_usable=40.0))
    config.save(path, loaded.config)
    assert json.loads(path.read_bytes())["settings"]["health_score"] == {"initial": 100.0, "min_usable": 40.0}


def test_keys_of_others_survive_a_rewrite(path: Path) -> None:
    config.save(path, BOTH)
    document = json.loads(path.read_bytes())
    document["theme"] = {"dark": True}
    document["settings"]["sound"] = "gong"
    document["settings"]["endpoints"] = {"other_url": "https://example.org", "opencode_go_url": "https://example.com"}
    document["accounts"][1]["colour"] = "teal"
    document["accounts"][1]["identity"]["team"] = "blue"
    path.write_text(json.dumps(document))

    loaded = config.load(path).config
    config.save(path, replace(loaded, accounts=(HOME, WORK), settings=Settings(port=9000)))

    after = json.loads(path.read_bytes())
    assert after["theme"] == {"dark": True}
    assert after["settings"] == {"port": 9000, "sound": "gong", "endpoints": {"other_url": "https://example.org"}}
    assert after["accounts"][0]["colour"] == "teal"
    assert after["accounts"][0]["identity"]["team"] == "blue"
    assert "colour" not in after["accounts"][1]
    assert [account["id"] for account in after["accounts"]] == ["home", "work"]


def _with(**changes: object) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(BOTH) | changes)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        _with(accounts={"work": 1}),
        _with(accounts=[{"id": "work", "label": 5}]),
        _with(accounts=[msgspec.to_builtins(WORK)] * 2),
        _with(accounts=[msgspec.to_builtins(WORK) | {"id": "../../etc/x"}]),
        _with(settings={"port": "8433"}),
        _with(settings={"port": 0}),
        _with(settings={"endpoints": {"anthropic_api_url": "http://example.org"}}),
        _with(install_id=""),
    ],
)
def test_a_broken_file_is_kept_aside_and_the_accounts_stay(path: Path, broken: bytes) -> None:
    config.save(path, BOTH)
    path.write_bytes(broken)

    loaded = config.load(path)

    aside = path.with_name("config.json.broken-1")
    assert loaded.config == BOTH
    assert loaded.problem is not None
    assert str(aside) in loaded.problem
    assert aside.read_bytes() == broken
    assert config.load(path).config == BOTH, "a second start before anything is saved finds them too"


def test_each_broken_file_is_kept(path: Path) -> None:
    for number in (1, 2, 3):
        path.write_text(f"broken {number}")
        config.load(path)

    assert [path.with_name(f"config.json.broken-{n}").read_text() for n in (1, 2, 3)] == [
        "broken 1",
        "broken 2",
        "broken 3",
    ]


def test_without_a_good_copy_the_person_is_told_that_accounts_are_gone(path: Path) -> None:
    path.write_text("{")
    path.with_name("config.json.bak").write_text("also broken")

    loaded = config.load(path)

    assert loaded.config.accounts == ()
    assert loaded.problem is not None
    assert "without accounts" in loaded.problem
    assert path.with_name("config.json.bak.broken-1").read_text() == "also broken"


def test_a_file_broken_while_running_is_kept_and_saving_goes_on(path: Path) -> None:
    config.save(path, BOTH)
    path.write_text("{ typo")

    config.save(path, BOTH)

    assert config.load(path).config == BOTH
    assert path.with_name("config.json.broken-1").read_text() == "{ typo"


def test_a_file_from_a_newer_version_is_read_and_never_written(path: Path) -> None:
    newer = _with(version=2, surprise=True)
    path.write_bytes(newer)

    loaded = config.load(path)

    assert loaded.config.accounts == (WORK, HOME)
    assert loaded.problem is not None
    assert "newer" in loaded.problem
    for attempt in (loaded.config, BOTH):
        with pytest.raises(TidegateError, match="newer") as caught:
            config.save(path, attempt)
        assert "Update" in caught.value.hint
    assert path.read_bytes() == newer


def test_a_newer_file_that_does_not_read_stays_where_it_is(path: Path) -> None:
    newer = _with(version=2, accounts={"by": "name"})
    path.write_bytes(newer)

    with pytest.raises(TidegateError, match="newer"):
        config.load(path)

    assert path.read_bytes() == newer


def test_whole_config_can_be_looked_at_without_touching_it(path: Path) -> None:
    assert config.peek(path) is None
    saved = Config("install", settings=Settings(port=9000))
    config.save(path, saved)
    assert config.peek(path) == saved

    path.write_text("{ oops")
    with pytest.raises(TidegateError, match="cannot be read"):
        config.peek(path)
    assert path.read_text() == "{ oops"


def test_a_glance_reads_settings_and_touches_nothing(path: Path) -> None:
    assert config.glance(path) == Settings()
    config.save(path, replace(BOTH, settings=Settings(port=9000)))
    assert config.glance(path) == Settings(port=9000)
    path.write_text("broken")
    assert config.glance(path) == Settings()
    assert path.read_text() == "broken"


def test_a_symlink_is_written_through(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "tidegate.json"
    target.parent.mkdir()
    path.symlink_to(target)

    config.save(path, BOTH)

    assert path.is_symlink()
    assert config.load(path).config == BOTH


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No byte goes into any file, of the test runner's own neither: keep it short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal_before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, signal_before)


@pytest.fixture
def saved(path: Path) -> Path:
    config.save(path, BOTH)
    return path


@pytest.mark.anyio
@pytest.mark.usefixtures("saved")
async def test_a_change_that_cannot_be_saved_changes_nothing(path: Path) -> None:
    file = ConfigFile(path, BOTH)

    with full_disk(), pytest.raises(TidegateError, match="Cannot save") as caught:
        await file.change(lambda current: replace(current, accounts=()))

    assert "Nothing was changed" in caught.value.hint
    assert file.current == BOTH
    assert config.load(path).config == BOTH
    assert {entry.name for entry in path.parent.iterdir()} == {"config.json", "config.json.bak"}


def test_a_file_that_cannot_be_opened_is_said_and_left_alone(path: Path) -> None:
    path.mkdir()

    with pytest.raises(TidegateError, match="Cannot read"):
        config.load(path)

    assert path.is_dir()


@pytest.mark.anyio
async def test_changes_at_the_same_time_all_count(path: Path) -> None:
    file = ConfigFile(path, Config(install_id="abc"))

    async def add(number: int) -> None:
        account = replace(WORK, id=AccountId(f"a{number}"))
        await file.change(lambda current: replace(current, accounts=(*current.accounts, account)))

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(add, number)

    assert {account.id for account in config.load(path).config.accounts} == {f"a{n}" for n in range(10)}
    assert file.current == config.load(path).config
