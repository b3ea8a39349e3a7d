from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from icons.make import FOLDER, ICNS_MARGIN, ICNS_SIZES, ICO_SIZES, PAGE_ICON, SIZES, sheet, svg
from tests.picture_measures import contrast, on
from tray.icon_application import SMALL, application, render, symbolic
from tray.icon_shapes import Colour

DARK_DOCK: Colour = (43, 48, 54)
LIGHT_DOCK: Colour = (242, 241, 240)


def same(one: Image.Image, other: Image.Image) -> bool:
    """Pixels are compared, not files: another zlib packs the same picture differently."""
    return one.size == other.size and one.convert("RGBA").tobytes() == other.convert("RGBA").tobytes()


@pytest.mark.parametrize("size", SIZES)
def test_pictures_of_the_program_are_those_that_the_drawing_makes(size: int) -> None:
    with Image.open(FOLDER / f"tidegate-{size}.png") as picture:
        assert same(picture, render(size))


def test_icon_for_windows_has_the_drawing_in_each_size() -> None:
    with Image.open(FOLDER / "tidegate.ico") as icon:
        assert icon.info["sizes"] == {(size, size) for size in ICO_SIZES}
        assert all(same(icon.ico.getimage((size, size)), render(size)) for size in ICO_SIZES)


def test_icon_for_macos_has_the_drawing_in_each_size_with_its_margin() -> None:
    with Image.open(FOLDER / "tidegate.icns") as icon:
        for width, height, scale in icon.info["sizes"]:
            assert width == height
            assert same(icon.icns.getimage((width, height, scale)), render(width * scale, ICNS_MARGIN))
        assert {width * scale for width, _, scale in icon.info["sizes"]} == set(ICNS_SIZES) - {16}


def test_vector_files_are_those_that_the_drawing_makes() -> None:
    for place in (FOLDER / "tidegate.svg", PAGE_ICON):
        assert place.read_text(encoding="utf-8") == svg(application(256), 256)
    assert (FOLDER / "tidegate-symbolic.svg").read_text(encoding="utf-8") == svg(symbolic(), 16)


def test_sheet_of_states_is_the_one_that_the_drawing_makes() -> None:
    with Image.open(FOLDER / "states.png") as picture:
        assert same(picture, sheet())


def test_symbolic_icon_has_one_colour_as_desktops_want_it() -> None:
    root = ET.fromstring((FOLDER / "tidegate-symbolic.svg").read_text(encoding="utf-8"))
    shapes = [element for element in root.iter() if element.tag.endswith("polygon")]

    assert {shape.get("fill") for shape in shapes} == {"#000000"}
    assert root.get("viewBox") == "0 0 16 16"


@pytest.mark.parametrize("ground", [DARK_DOCK, LIGHT_DOCK])
@pytest.mark.parametrize("size", [16, 24, 48, 256])
def test_the_gate_is_seen_on_a_dark_and_a_light_dock(size: int, ground: Colour) -> None:
    colours = on(render(size), ground).getcolors(size * size) or []
    seen = sum(count for count, colour in colours if contrast(colour, ground) >= 3)

    assert seen >= 0.1 * size * size


def test_small_pictures_are_simpler() -> None:
    assert len(application(SMALL)) < len(application(SMALL + 1))


def test_margin_is_left_free() -> None:
    assert render(128, 0.125).getbbox() == pytest.approx((16, 16, 112, 112), abs=2)
