from dataclasses import replace
from itertools import combinations, product

import pytest
from PIL import Image, ImageChops

from core.model import AccountId, AccountKind, AccountView, Level, Snapshot, Standing, WindowView
from icons.make import FOLDER, SIZE, svg
from tray.icon import (
    BRIGHT_WATER,
    DARK,
    DEEP_WATER,
    LIGHT,
    WHITE,
    Badge,
    Colour,
    IconState,
    application,
    draw,
    render,
    state_of,
)

SIZES = (16, 22, 24, 32, 44, 48, 64, 128, 256)
STATES = (
    IconState(8, Level.OK),
    IconState(62, Level.OK),
    IconState(81, Level.WARN),
    IconState(96, Level.SPENT, Badge.SPENT),
    IconState(96, Level.SPENT, Badge.RESTING),
    IconState(None),
    IconState(None, badge=Badge.SIGN_IN),
    IconState(None, empty=True),
    IconState(62, Level.OK, demo=True),
)
DARK_PANEL: Colour = (43, 48, 54)
LIGHT_PANEL: Colour = (242, 241, 240)


def account(standing: Standing = Standing.READY, used: float | None = None, *, active: bool = False) -> AccountView:
    windows = () if used is None else (WindowView("5h", used, None, Level.UNKNOWN),)
    kind = AccountKind.CLAUDE
    return AccountView(AccountId("a"), "Work", kind, kind.provider, standing, Level.OK, windows=windows, active=active)


def snapshot(*accounts: AccountView) -> Snapshot:
    return Snapshot(at=0.0, accounts=accounts)


@pytest.mark.parametrize(
    ("accounts", "state"),
    [
        ((), IconState(None, empty=True)),
        ((account(Standing.DISABLED, 0.5),), IconState(None, empty=True)),
        ((account(used=0.62, active=True),), IconState(62, Level.OK)),
        ((account(used=0.81, active=True),), IconState(81, Level.WARN)),
        ((account(used=1.3, active=True),), IconState(100, Level.SPENT, Badge.SPENT)),
        ((account(active=True),), IconState(None)),
        ((account(),), IconState(None)),
        ((account(Standing.COOLING, 1.0),), IconState(None, badge=Badge.RESTING)),
        ((account(Standing.COOLING, 1.0, active=True),), IconState(100, Level.SPENT, Badge.RESTING)),
        ((account(Standing.SIGN_IN),), IconState(None, badge=Badge.SIGN_IN)),
        ((account(Standing.LOCKED),), IconState(None, badge=Badge.SIGN_IN)),
        ((account(used=0.1, active=True), account(Standing.SIGN_IN)), IconState(10, Level.OK, Badge.SIGN_IN)),
        ((account(used=0.1, active=True), account(Standing.COOLING)), IconState(10, Level.OK)),
    ],
)
def test_icon_shows_what_matters_most(accounts: tuple[AccountView, ...], state: IconState) -> None:
    assert state_of(snapshot(*accounts)) == state


def test_demo_is_marked() -> None:
    assert state_of(replace(snapshot(), demo=True)).demo


@pytest.mark.parametrize(("size", "dark"), [*product(SIZES, (True, False))])
def test_every_state_has_its_own_picture_at_every_size(size: int, dark: bool) -> None:
    pictures = [draw(state, size, dark) for state in STATES]

    assert all(picture.size == (size, size) and picture.mode == "RGBA" for picture in pictures)
    for one, other in combinations(pictures, 2):
        assert difference(one, other) > 0.01


@pytest.mark.parametrize("size", SIZES)
def test_states_can_be_told_without_colours(size: int) -> None:
    grey = [draw(state, size, True).convert("LA").convert("RGBA") for state in STATES]

    assert min(difference(one, other) for one, other in combinations(grey, 2)) > 0.005


@pytest.mark.parametrize(("size", "dark", "panel"), [*product(SIZES, (True, False), (DARK_PANEL, LIGHT_PANEL))])
def test_icon_stands_out_from_a_dark_and_a_light_panel(size: int, dark: bool, panel: Colour) -> None:
    for state in STATES:
        drawn = draw(state, size, dark)
        on_panel = Image.new("RGBA", drawn.size, panel)
        on_panel.alpha_composite(drawn)
        colours = on_panel.convert("RGB").getcolors(size * size) or []
        seen = sum(count for count, colour in colours if contrast(colour, panel) >= 3)
        assert seen >= 0.12 * size * size, f"{state} on {panel}"


@pytest.mark.parametrize(("water", "ink", "ground"), [(DEEP_WATER, WHITE, DARK), (BRIGHT_WATER, DARK, LIGHT)])
def test_number_can_be_read_on_the_water_and_above_it(water: dict[Level, Colour], ink: Colour, ground: Colour) -> None:
    assert contrast(ink, ground) > 7
    assert all(contrast(ink, colour) > 2.8 for colour in water.values())


def test_water_rises_with_the_share() -> None:
    def wet(percent: int) -> int:
        colours = draw(IconState(percent, Level.OK), 16, True).getcolors(256) or []
        return sum(count for count, colour in colours if colour[:3] == DEEP_WATER[Level.OK])

    assert wet(0) > 0
    assert wet(5) < wet(40) < wet(80) < wet(100)


def test_files_of_the_icon_are_those_that_the_drawing_makes() -> None:
    assert (FOLDER / "tidegate.svg").read_text(encoding="utf-8") == svg()
    with Image.open(FOLDER / "tidegate.png") as png:
        assert ImageChops.difference(png.convert("RGBA"), render(application(SIZE), SIZE)).getbbox() is None


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures, 0 to 1, over all pixels and bands."""
    bands = ImageChops.difference(one, other).split()
    total = sum(value * count for band in bands for value, count in enumerate(band.histogram()))
    return total / (255 * len(bands) * one.width * one.height)


def contrast(one: Colour, other: Colour) -> float:
    """The contrast of two colours as WCAG 2 defines it: 1 (none) to 21; 3 is asked of icons."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: Colour) -> float:
    red, green, blue = (
        value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
