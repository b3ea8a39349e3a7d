from itertools import product

import pytest

from core.model import Level
from tests.picture_measures import contrast
from tray.icon_colours import AMBER, WATER, Palette, Panel, palette
from tray.icon_shapes import Colour, Paint

DARK_PANEL: Colour = (43, 48, 54)
LIGHT_PANEL: Colour = (242, 241, 240)
OWN = {
    Panel.DARK: DARK_PANEL,
    Panel.LIGHT: LIGHT_PANEL,
    Panel.CONTRAST_DARK: (0, 0, 0),
    Panel.CONTRAST_LIGHT: (255, 255, 255),
}
PALETTES = [(panel, palette(panel, colours=colours)) for panel, colours in product(OWN, (True, False))]


def rgb(paint: Paint) -> Colour:
    assert paint[3] == 255
    return paint[:3]


@pytest.mark.parametrize(("level", "ground"), [*product(Level, (DARK_PANEL, LIGHT_PANEL))])
def test_water_stands_out_from_a_dark_and_a_light_panel(level: Level, ground: Colour) -> None:
    assert contrast(WATER[level], ground) >= 3


@pytest.mark.parametrize(("panel", "used"), PALETTES)
def test_rim_and_water_stand_out_from_their_panel_and_the_rim_from_its_ground(panel: Panel, used: Palette) -> None:
    assert contrast(rgb(used.rim), OWN[panel]) >= 7
    assert contrast(rgb(used.rim), rgb(used.ground)) >= 7
    assert all(contrast(rgb(water), OWN[panel]) >= 3 for water in used.water.values())


@pytest.mark.parametrize("used", [used for _, used in PALETTES])
def test_number_can_be_read_on_the_water_and_above_it(used: Palette) -> None:
    least = 4.5 if used.thick else 3
    assert all(contrast(rgb(used.rim), rgb(water)) >= least for water in used.water.values())


@pytest.mark.parametrize("used", [used for _, used in PALETTES])
def test_what_needs_the_person_stands_out_and_its_mark_from_it(used: Palette) -> None:
    assert contrast(rgb(used.alarm), rgb(used.ground)) >= 4.5
    assert contrast(rgb(used.alarm), rgb(used.on_alarm)) >= 4.5


@pytest.mark.parametrize("panel", OWN)
def test_high_contrast_has_thick_lines(panel: Panel) -> None:
    assert palette(panel, colours=True).thick is (panel in {Panel.CONTRAST_DARK, Panel.CONTRAST_LIGHT})


def test_panel_that_tints_gets_colours_when_the_person_wants_them_and_black_otherwise() -> None:
    assert rgb(palette(Panel.TINTING, colours=True).alarm) == AMBER
    plain = palette(Panel.TINTING, colours=False)
    paints = [plain.rim, plain.ground, plain.alarm, plain.on_alarm, plain.demo, *plain.water.values()]
    assert {paint[:3] for paint in paints} == {(0, 0, 0)}
    assert plain.ground[3] == 0 < plain.water[Level.OK][3] < plain.rim[3] == 255
