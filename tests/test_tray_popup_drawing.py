"""The pixels of a drawn menu."""

from PIL import Image, ImageFont

from tray import popup, popup_drawing
from tray.popup import Box, Mark, Panel, Row
from tray.popup_drawing import FAINT, FRAME, INK, PAPER, REACHED

FONT = ImageFont.load_default(14)
assert isinstance(FONT, ImageFont.FreeTypeFont)
METRICS = popup_drawing.metrics(FONT, 1.0)
ROWS = (
    Row("To be read", enabled=False),
    Row("Work", mark=Mark.RADIO, checked=True),
    Row("Home", mark=Mark.RADIO),
    Row(),
    Row("Numbers", mark=Mark.CHECK, checked=True),
    Row("Colours", mark=Mark.CHECK),
    Row("More", rows=(Row("Rename"),)),
)


def panel(rows: tuple[Row, ...] = ROWS, height: int = 600, at: int | None = None) -> Panel:
    shown = popup.opened(rows, Box(0, 0, 1, 1), Box(0, 0, 800, height), METRICS)
    if at is not None:
        box = shown.panels[0].box
        shown = popup.pointed(shown, box.x + 5, box.y + sum(shown.panels[0].span(at)) // 2)
    return shown.panels[0]


def drawn(shown: Panel) -> Image.Image:
    return popup_drawing.draw(shown, FONT, METRICS)


def row_of(shown: Panel, index: int, left: int = 5, right: int | None = None) -> Image.Image:
    top, bottom = shown.span(index)
    return drawn(shown).crop((left, top, right or shown.box.width - 5, bottom))


def colours(image: Image.Image) -> set[tuple[int, ...]]:
    return {colour for _, colour in image.getcolors(1 << 20)}


def ink(image: Image.Image, colour: tuple[int, int, int] = INK) -> int:
    return sum(count for count, found in image.getcolors(1 << 20) if found == colour)


def test_picture_is_as_large_as_the_panel_and_has_a_frame() -> None:
    shown = panel()
    image = drawn(shown)

    assert image.size == (shown.box.width, shown.box.height)
    assert image.getpixel((0, 0)) == image.getpixel((image.width - 1, image.height - 1)) == FRAME


def test_words_are_dark_on_light_and_fainter_where_there_is_nothing_to_click() -> None:
    shown = panel()

    assert {INK, PAPER} <= colours(row_of(shown, 1, left=38))
    assert {FAINT, PAPER} <= colours(row_of(shown, 0))
    assert INK not in colours(row_of(shown, 0))


def test_row_that_was_reached_is_light_on_colour_and_no_other_is() -> None:
    shown = panel(at=2)

    assert {REACHED, PAPER} <= colours(row_of(shown, 2))
    assert INK not in colours(row_of(shown, 2))
    assert REACHED not in colours(row_of(shown, 1)) | colours(row_of(shown, 4))


def test_chosen_radio_button_and_ticked_box_have_more_ink_than_the_others() -> None:
    shown = panel()

    radio, other, tick, empty = (ink(row_of(shown, index, 8, 30)) for index in (1, 2, 4, 5))

    assert radio > other > 0
    assert tick > empty > 0
    assert ink(row_of(shown, 6, 8, 30)) == 0, "a row without a mark has none"


def test_row_with_a_submenu_has_an_arrow_at_its_end() -> None:
    shown = panel()
    end = shown.box.width - 22

    assert ink(row_of(shown, 6, end, shown.box.width - 5)) > 0
    assert ink(row_of(shown, 5, end, shown.box.width - 5)) == 0


def test_menu_that_goes_on_says_so_with_an_arrow() -> None:
    rows = tuple(Row(f"Account {number}") for number in range(40))
    top, end = panel(rows, height=200), popup.opened(rows, Box(0, 0, 1, 1), Box(0, 0, 800, 200), METRICS)
    end_panel = popup.wheeled(end, 5, 100, 999).panels[0]
    middle = top.box.width // 2
    arrow = (middle - 8, top.box.height - METRICS.arrow + 2, middle + 8, top.box.height - 2)

    assert ink(drawn(top).crop(arrow)) > 0
    assert ink(drawn(end_panel).crop((middle - 8, 2, middle + 8, METRICS.arrow - 2))) > 0


def test_label_that_is_too_long_ends_in_an_ellipsis_and_fits() -> None:
    text = popup_drawing.elided("a very long label of an account", 100, FONT)

    assert text.endswith("…")
    assert FONT.getlength(text) <= 100
    assert popup_drawing.elided("short", 100, FONT) == "short"


def test_contrast_is_what_wcag_asks_for() -> None:
    assert contrast(INK, PAPER) > 12
    assert contrast(FAINT, PAPER) > 4.5
    assert contrast(PAPER, REACHED) > 4.5


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio"""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: tuple[int, int, int]) -> float:
    shares = [part / 255 for part in colour]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
