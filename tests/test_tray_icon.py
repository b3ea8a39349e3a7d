from dataclasses import replace
from functools import cache
from itertools import combinations, product

import pytest
from msgspec import structs
from PIL import Image

from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    IconStyle,
    Level,
    Pause,
    ProviderName,
    Snapshot,
    Standing,
    WindowView,
)
from icons.make import COLUMNS, STATES
from tests.picture_measures import SIGHT, contrast, difference, on, seen_with
from tray.icon import NUMBER_FROM, IconState, Sign, draw, state_of
from tray.icon_colours import Panel
from tray.icon_shapes import Colour

SIZES = (16, 20, 22, 24, 32, 44, 64, 128, 256)
SMALL_SIZES = (16, 22)
PICTURES = (*product((16, 22, 32), Panel), *product(SIZES, (Panel.DARK,)))
DARK_PANEL: Colour = (43, 48, 54)
LIGHT_PANEL: Colour = (242, 241, 240)
WITHOUT_NUMBER = IconStyle(number=False)
PLAIN = IconStyle(colours=False, number=False)


def account(
    standing: Standing = Standing.READY, used: float | None = None, *, active: bool = False, go: bool = False
) -> AccountView:
    windows = () if used is None else (WindowView("5h", used, None, Level.UNKNOWN),)
    kind = AccountKind.GO if go else AccountKind.CLAUDE
    return AccountView(AccountId("a"), "Work", kind, kind.provider, standing, Level.OK, windows=windows, active=active)


def snapshot(*accounts: AccountView) -> Snapshot:
    return Snapshot(at=0.0, accounts=accounts)


def styled(style: IconStyle) -> tuple[IconState, ...]:
    return tuple(replace(state, style=style) for state in STATES.values())


@cache
def drawn(state: IconState, size: int, panel: Panel) -> Image.Image:
    return draw(state, size, panel)


# --- which state -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accounts", "state"),
    [
        ((), IconState(None, sign=Sign.EMPTY)),
        ((account(Standing.DISABLED, 0.5),), IconState(None, sign=Sign.EMPTY)),
        ((account(used=0.62, active=True),), IconState(62, Level.OK)),
        ((account(used=0.81, active=True),), IconState(81, Level.WARN)),
        ((account(used=1.3, active=True),), IconState(100, Level.SPENT, Sign.SPENT)),
        ((account(active=True),), IconState(None, sign=Sign.UNREAD)),
        ((account(),), IconState(None, sign=Sign.UNREAD)),
        ((account(Standing.COOLING),), IconState(None, sign=Sign.RESTING)),
        ((account(Standing.COOLING, 1.0),), IconState(100, Level.SPENT, Sign.RESTING)),
        ((account(Standing.COOLING, 1.0, active=True),), IconState(100, Level.SPENT, Sign.RESTING)),
        ((account(Standing.SIGN_IN),), IconState(None, sign=Sign.SIGN_IN)),
        ((account(Standing.LOCKED),), IconState(None, sign=Sign.SIGN_IN)),
        ((account(Standing.COOLING), account(Standing.SIGN_IN)), IconState(None, sign=Sign.RESTING)),
        ((account(used=0.1, active=True), account(Standing.SIGN_IN)), IconState(10, Level.OK, Sign.SIGN_IN)),
        ((account(used=0.95, active=True), account(Standing.SIGN_IN)), IconState(95, Level.SPENT, Sign.SIGN_IN)),
        ((account(used=0.1, active=True), account(Standing.COOLING)), IconState(10, Level.OK)),
    ],
)
def test_icon_shows_what_matters_most(accounts: tuple[AccountView, ...], state: IconState) -> None:
    assert state_of(snapshot(*accounts)) == state


def test_while_all_rest_the_water_is_that_of_the_account_that_comes_back_first() -> None:
    full, half, unknown = (account(Standing.COOLING, used) for used in (1.0, 0.5, 0.2))
    resting = snapshot(structs.replace(full, until_at=900.0), structs.replace(half, until_at=300.0), unknown)

    assert state_of(resting) == IconState(50, Level.OK, Sign.RESTING)


@pytest.mark.parametrize(
    ("accounts", "sign"),
    [
        ((account(used=0.1, active=True),), Sign.OFFLINE),
        ((account(used=0.1, active=True), account(go=True)), Sign.OFFLINE),
        ((account(used=0.1), account(used=0.1, active=True, go=True)), Sign.NONE),
        ((account(used=0.1), account(go=True)), Sign.UNREAD),
        ((account(Standing.SIGN_IN),), Sign.OFFLINE),
        ((), Sign.EMPTY),
    ],
)
def test_offline_is_said_when_it_keeps_the_one_that_serves_or_everybody(
    accounts: tuple[AccountView, ...], sign: Sign
) -> None:
    lost = structs.replace(snapshot(*accounts), unreachable=(ProviderName.ANTHROPIC,))

    assert state_of(lost).sign is sign


@pytest.mark.parametrize("accounts", [(), (account(Standing.SIGN_IN),), (account(used=0.95, active=True),)])
def test_pause_comes_before_all_else(accounts: tuple[AccountView, ...]) -> None:
    paused = structs.replace(snapshot(*accounts), pause=Pause(), unreachable=tuple(ProviderName))

    assert state_of(paused).sign is Sign.PAUSED


def test_demo_and_the_persons_style_are_part_of_the_state() -> None:
    shown = state_of(structs.replace(snapshot(), demo=True, icon=PLAIN))

    assert (shown.demo, shown.style) == (True, PLAIN)


# --- the pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "panel"), PICTURES)
def test_every_state_has_its_own_picture_at_every_size_with_and_without_the_number(size: int, panel: Panel) -> None:
    for style in (IconStyle(), WITHOUT_NUMBER, PLAIN):
        pictures = [drawn(state, size, panel) for state in styled(style)]

        assert all(picture.size == (size, size) for picture in pictures)
        assert min(difference(one, other) for one, other in combinations(pictures, 2)) > 0.01


@pytest.mark.parametrize(("sight", "size"), [*product(SIGHT, SMALL_SIZES)])
def test_colour_blind_people_can_tell_the_states(sight: str, size: int) -> None:
    for panel, ground in ((Panel.DARK, DARK_PANEL), (Panel.LIGHT, LIGHT_PANEL)):
        seen = [seen_with(sight, on(drawn(state, size, panel), ground)) for state in styled(WITHOUT_NUMBER)]

        assert min(difference(one, other) for one, other in combinations(seen, 2)) > 0.025


@pytest.mark.parametrize(("size", "panel"), [*product(SMALL_SIZES, Panel)])
def test_a_warning_is_rough_water_so_one_more_percent_can_be_seen_without_colours(size: int, panel: Panel) -> None:
    calm, rough = (IconState(69, Level.OK, style=PLAIN), IconState(70, Level.WARN, style=PLAIN))
    rising = difference(drawn(calm, size, panel), drawn(replace(calm, percent=70), size, panel))

    assert difference(drawn(calm, size, panel), drawn(rough, size, panel)) > 2 * rising


@pytest.mark.parametrize(("size", "panel"), PICTURES)
@pytest.mark.parametrize("style", [IconStyle(), PLAIN], ids=["colours", "plain"])
def test_icon_stands_out_from_a_dark_and_a_light_panel(size: int, panel: Panel, style: IconStyle) -> None:
    tinted = panel is Panel.TINTING and not style.colours
    for state, ground in product(styled(style), (LIGHT_PANEL,) if tinted else (DARK_PANEL, LIGHT_PANEL)):
        colours = on(drawn(state, size, panel), ground).getcolors(size * size) or []
        seen = sum(count for count, colour in colours if contrast(colour, ground) >= 3)
        assert seen >= 0.12 * size * size, f"{state} on {ground}"


@pytest.mark.parametrize("size", SIZES)
def test_water_rises_with_the_share_and_nothing_spent_is_not_dry(size: int) -> None:
    dry = drawn(IconState(None, style=WITHOUT_NUMBER), size, Panel.DARK)
    states = (IconState(percent, Level.OK, style=WITHOUT_NUMBER) for percent in (0, 20, 40, 60, 80, 100))

    wet = [difference(dry, drawn(state, size, Panel.DARK)) for state in states]

    assert wet[0] > 0.01
    assert wet == sorted(set(wet))


@pytest.mark.parametrize("panel", Panel)
def test_icon_without_colours_has_none(panel: Panel) -> None:
    """Light, dark and what lies between them, which are a little blue."""
    for state in styled(PLAIN):
        for _, (red, green, blue) in on(drawn(state, 32, panel), (127, 127, 127)).getcolors(32 * 32) or []:
            assert max(red, green, blue) - min(red, green, blue) <= 25


def test_only_a_panel_that_tints_gets_shapes_without_colour() -> None:
    modes = {panel: drawn(IconState(62, Level.OK, style=PLAIN), 16, panel).mode for panel in Panel}

    assert modes == {**dict.fromkeys(Panel, "RGBA"), Panel.TINTING: "LA"}
    assert drawn(IconState(62, Level.OK), 16, Panel.TINTING).mode == "RGBA"


def test_shapes_for_tinting_are_black_and_say_the_level_by_how_much_they_cover() -> None:
    shape = drawn(IconState(62, Level.OK, style=PLAIN), 64, Panel.TINTING)
    light, cover = shape.split()

    assert light.getextrema() == (0, 0)
    assert cover.getpixel((32, 8)) == 0
    assert 0 < cover.getpixel((32, 50)) < 255
    assert cover.getpixel((32, 1)) == 255


@pytest.mark.parametrize("size", SIZES)
def test_number_is_shown_where_there_is_room_and_the_person_wants_it(size: int) -> None:
    one, two = (IconState(percent, Level.OK) for percent in (36, 63))
    plain = replace(one, style=WITHOUT_NUMBER)

    assert (drawn(one, size, Panel.DARK) != drawn(plain, size, Panel.DARK)) == (size >= NUMBER_FROM)
    assert drawn(one, size, Panel.DARK) != drawn(two, size, Panel.DARK)


def test_sheet_of_the_readme_shows_every_sign_and_every_panel() -> None:
    assert {state.sign for state in STATES.values()} == set(Sign)
    assert {panel for _, panel, _, _ in COLUMNS} == set(Panel)
