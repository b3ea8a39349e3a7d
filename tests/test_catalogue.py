"""The catalogue has all that menu and shared wording say, and a language that follows it is spoken throughout."""

import ast
import gettext
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from hypothesis import given, settings
from hypothesis import strategies as st

from core import languages, words
from core.clients import CLIENTS
from core.event_wording import Happening, happening_text, moves_text
from core.import_glance import Glance
from core.model import (
    Account,
    AccountId,
    AccountKind,
    AccountState,
    Alert,
    AllSpent,
    ClientKind,
    ClientNotServed,
    Event,
    ExtraUsage,
    ExtraUsageBegan,
    FailedOver,
    LoginHealth,
    LoginRequired,
    LoginState,
    ModelFamily,
    Move,
    Pause,
    Pool,
    ProviderBack,
    ProviderLost,
    ProviderName,
    QuietHours,
    QuotaWindow,
    RenewalFailed,
    Serves,
    SessionMoved,
    Snapshot,
    Standing,
    Strategy,
    WindowFilled,
    WindowReset,
    WindowView,
)
from core.policy import alerts
from core.wording import level
from tests import catalogue
from tests.menus import ADDRESS, NOW, account, labels, snapshot
from tray import menu
from tray.menu_preferences import Desk

UPPER, LOWER = ord("Ａ") - ord("A"), ord("ａ") - ord("a")
DATA = (
    *("Work", "Home", "Lent", "Ada", "Opus", "Max", "ada@example.org", "full up", "Full up", "least used"),
    *(client.name for client in CLIENTS.values()),
    *(name.value for name in Strategy),
    *("opus", "moon phase", "Tidegate", "0.1.0", ADDRESS),
)
"""What is not ours to translate: what people and providers name, and what commands are called."""
_CUT = [f"{data[:size]}…" for data in DATA for size in range(1, len(data))]
GIVEN = re.compile("|".join(map(re.escape, sorted((*DATA, *_CUT), key=len, reverse=True))))
FOREIGN = "xx"
WORK, HOME, OPUS = AccountId("a1"), AccountId("a2"), ModelFamily("opus")


def _letter(c: str) -> str:
    return chr(ord(c) + (UPPER if c.isupper() else LOWER)) if c.isascii() and c.isalpha() else c


def foreign(message: str) -> str:
    """A message in a language with other letters, longer words and brackets round each sentence; its holes are kept."""
    said = ""
    for text, name, spec, _conversion in Formatter().parse(message):
        said += "".join(map(_letter, text))
        if name is not None:
            said += f"{{{name}:{spec}}}" if spec else f"{{{name}}}"
    return f"⟦{said}{'~' * (len(message) // 3)}⟧"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of that language, made as a translator makes one."""
    language = Catalog(locale="de")  # for its plural forms; the name of the folder is another
    for message in catalogue.messages(catalogue.template()):
        forms = message.id if isinstance(message.id, tuple) else (message.id,)
        said = tuple(map(foreign, forms))
        language.add(message.id, said if len(said) > 1 else said[0])
    folder = tmp_path_factory.mktemp("locale")
    path = folder / FOREIGN / "LC_MESSAGES" / "tidegate.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(catalogue.compiled(language))
    return folder


@pytest.fixture
def _abroad(folder: Path) -> Iterator[None]:
    languages.speak(folder, {"LANG": FOREIGN})
    yield
    words.speak(gettext.NullTranslations())


def untranslated(text: str) -> str:
    """What is left in English of something that was said. A name may have been cut in the middle."""
    return "".join(re.findall("[A-Za-z]+", GIVEN.sub("", text)))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Work", ""),
        ("Wo…", ""),
        ("⟦opus…", ""),
        ("OpenC…", ""),
        ("Working", "ing"),
        ("until Work", "until"),
        ("ｕｎｔｉｌ", ""),
    ],
)
def test_what_is_left_in_english_is_found_beside_names(text: str, left: str) -> None:
    assert untranslated(text) == left


WINDOWS = st.builds(
    lambda name, used, family, dry, lost, age: WindowView(
        name, used, NOW + 7_000, level(used), family, NOW - age, dry_at=dry, lost=lost
    ),
    st.sampled_from(["5h", "7d", "7d_oi", "rolling", "monthly", "input-tokens", "moon_phase"]),
    st.sampled_from([None, 0.1, 0.8, 0.97]),
    st.sampled_from([None, ModelFamily("opus")]),
    st.sampled_from([None, NOW + 600, NOW + 300_000, NOW + 3_000_000]),
    st.sampled_from([None, 0.2]),
    st.sampled_from([0.0, 3_000.0, 400_000.0]),
)
TIMES = st.sampled_from([None, NOW + 60, NOW + 300_000, NOW + 3_000_000])
VIEWS = st.builds(
    lambda label, kind, windows, options: account(label, kind, windows=tuple(windows), **options),
    st.sampled_from(["Work", "Home", "Lent"]),
    st.sampled_from(AccountKind),
    st.lists(WINDOWS, max_size=3),
    st.fixed_dictionaries(
        {
            "standing": st.sampled_from(Standing),
            "detail": st.sampled_from(["", "full up"]),
            "until_at": TIMES,
            "enabled": st.booleans(),
            "serves": st.sampled_from(Serves),
            "pinned": st.booleans(),
            "pinned_until_at": TIMES,
            "active": st.booleans(),
            "reason": st.sampled_from(["", "least used"]),
            "email": st.sampled_from(["", "ada@example.org"]),
            "plan": st.sampled_from(["", "Max"]),
            "borrowed_from": st.sampled_from(["", "OpenCode"]),
            "login": st.builds(LoginHealth, st.sampled_from(LoginState), TIMES),
            "extra_usage": st.sampled_from([None, ExtraUsage(enabled=True), ExtraUsage(in_use=True, utilization=0.5)]),
            "shares_with": st.sampled_from([(), ("Ada", "Home")]),
        }
    ),
)
SNAPSHOTS = st.builds(
    lambda views, options: snapshot(*views, **options),
    st.lists(VIEWS, max_size=3) | VIEWS.map(lambda view: [view] * 15),
    st.fixed_dictionaries(
        {
            "address": st.sampled_from(["", ADDRESS]),
            "strategy": st.sampled_from(Strategy),
            "headroom_s": st.dictionaries(st.sampled_from(ProviderName), st.sampled_from([90.0, 700.0, 80_000.0])),
            "moves": st.sampled_from([(), (Move(NOW - 100_000, "Work", "Home", "full up"),)]),
            "pause": st.none() | st.builds(Pause, TIMES),
            "failover": st.booleans(),
            "unreachable": st.sampled_from([(), tuple(ProviderName)]),
            "quiet_hours": st.sampled_from([None, QuietHours(1, 2)]),
            "demo": st.booleans(),
        }
    ),
)
DESKS = st.builds(Desk, st.sampled_from([None, True, False]), st.booleans(), st.sampled_from(["", "/log"]))
FOUND = st.none() | st.builds(Glance, st.integers(0, 3), st.just(("OpenCode",)))


def test_the_committed_template_has_what_is_said() -> None:
    committed = (languages.FOLDER / "tidegate.pot").read_bytes()

    assert committed == catalogue.written(catalogue.template()), "run `make catalogue`"


def test_every_language_is_up_to_date_keeps_the_holes_and_is_compiled() -> None:
    for path in catalogue.languages():
        language = catalogue.read(path)
        assert path.with_suffix(".mo").read_bytes() == catalogue.compiled(language), "run `make catalogue`"
        for message in catalogue.messages(language):
            assert not list(message.check(language)), f"{path}: {message.id}"


@pytest.mark.parametrize("package", catalogue.PACKAGES)
def test_no_message_hides_in_an_f_string_where_the_extraction_does_not_see_it(package: str) -> None:
    for path in (catalogue.ROOT / package).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = (node for whole in ast.walk(tree) if isinstance(whole, ast.JoinedStr) for node in ast.walk(whole))
        calls = [node.func for node in inside if isinstance(node, ast.Call)]
        assert not [call for call in calls if isinstance(call, ast.Name) and call.id in catalogue.KEYWORDS], path


def test_a_new_message_reaches_every_language_and_what_is_translated_stays(tmp_path: Path) -> None:
    path = tmp_path / "de" / "LC_MESSAGES" / "tidegate.po"
    path.parent.mkdir(parents=True)
    language = Catalog(locale="de")
    language.add("Resume", "Fortsetzen")
    language.add("Said no more", "Vorbei")
    path.write_bytes(catalogue.written(language))

    catalogue.renew(tmp_path)

    renewed = catalogue.read(path)
    assert renewed.get("Resume").string == "Fortsetzen"
    assert renewed.get("Quit Tidegate").string == ""
    assert renewed.get("Said no more") is None
    renewed.creation_date = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)  # no file has it
    assert path.with_suffix(".mo").read_bytes() == catalogue.compiled(renewed)
    before = path.read_bytes()
    catalogue.renew(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.usefixtures("_abroad")
@given(SNAPSHOTS, DESKS, FOUND)
@settings(max_examples=60, deadline=None)
def test_the_whole_menu_speaks_a_language_that_follows_the_catalogue(
    shown: Snapshot, desk: Desk, found: Glance | None
) -> None:
    for said in (*labels(menu.build(shown, NOW, found, desk)), menu.tooltip(shown, NOW)):
        assert not untranslated(said), said
        assert not re.search(r"[{}]", said), said


EVENTS = st.one_of(
    st.builds(Move, st.just(NOW), st.just("Work"), st.just("Home"), st.just("full up"), TIMES),
    st.builds(FailedOver, st.just(WORK), st.just(HOME), st.just("full up"), TIMES),
    st.builds(SessionMoved, st.just(WORK), st.just(HOME), st.just("full up"), st.sampled_from([0, 12_000])),
    st.builds(
        AllSpent, st.sampled_from(ProviderName), TIMES, st.sampled_from([None, OPUS]), st.sampled_from([None, WORK])
    ),
    st.sampled_from([LoginRequired(WORK, "full up"), RenewalFailed(WORK, "full up")]),
    st.just(ClientNotServed(WORK, ClientKind.OTHER, "full up")),
    st.builds(
        WindowFilled,
        st.just(WORK),
        st.builds(QuotaWindow, st.sampled_from(["5h", "7d"]), st.just(0.8), TIMES),
        st.sampled_from(Alert),
        TIMES,
    ),
    st.sampled_from([WindowReset(WORK, QuotaWindow("7d")), ExtraUsageBegan(WORK)]),
    st.builds(ProviderLost, st.sampled_from(ProviderName), st.just("full up")),
    st.builds(ProviderBack, st.sampled_from(ProviderName), st.sampled_from([5.0, 9_000.0])),
)
POOL = Pool.of(AccountState(Account(id_, label, AccountKind.CLAUDE)) for id_, label in ((WORK, "Work"), (HOME, "Home")))


@pytest.mark.usefixtures("_abroad")
@given(EVENTS)
@settings(deadline=None)
def test_so_do_notifications_and_history(event: Move | Event) -> None:
    said: list[str] = []
    if not isinstance(event, Move) and (message := alerts.notification(event, POOL, NOW)):
        said += [message.title, message.body, *(action.label for action in message.actions)]
    if isinstance(event, Happening):
        said.append(happening_text(event, {WORK: "Work", HOME: "Home"}.__getitem__, NOW))

    assert said
    assert not [text for text in said if untranslated(text) or re.search(r"[{}]", text)]


@pytest.mark.usefixtures("_abroad")
@pytest.mark.parametrize("count", [1, 2])
def test_of_one_thing_and_of_many_another_language_speaks_as_well(count: int) -> None:
    said = moves_text(count, 1_400_000, 3_600.0)

    assert str(count) in said
    assert not untranslated(said)


def test_a_language_that_is_not_there_is_answered_in_english(folder: Path) -> None:
    languages.speak(folder, {"LANG": "yy_YY.UTF-8"})

    assert menu.build(snapshot(), NOW)[-1].label == "Quit Tidegate"
