"""Write the program's icon in every form that systems want, and the sheet of the tray icon's states: `make icons`.

The drawing itself is data in `tray/icon*.py`. The same pixels come out each time; a test compares them with the files.
"""  # noqa: INP001 - a script beside its pictures, not a package

from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from core.model import IconStyle, Level
from tray.icon import IconState, Sign, draw
from tray.icon_application import application, render, symbolic
from tray.icon_colours import Panel
from tray.icon_shapes import Colour, Paint, Polygon

FOLDER = Path(__file__).parent
PAGE_ICON = FOLDER.parent / "core/dashboard/icon.svg"
"""The status page's own copy: it travels with the package."""
SIZES = (16, 22, 24, 32, 48, 64, 128, 256, 512)
"""What the icon themes of Linux desktops have folders for."""
ICO_SIZES = (16, 20, 24, 32, 40, 48, 64, 256)
"""What Windows shows at 100, 125, 150 and 200 %."""
ICNS_SIZES = (16, 32, 64, 128, 256, 512, 1024)
ICNS_MARGIN = 100 / 1024
"""macOS draws the icons of programs smaller than their square, so that all look alike."""

STATES = {
    "8 % spent": IconState(8, Level.OK),
    "38 %": IconState(38, Level.OK),
    "62 %": IconState(62, Level.OK),
    "81 %: warn": IconState(81, Level.WARN),
    "96 %: spent": IconState(96, Level.SPENT, Sign.SPENT),
    "full, resting": IconState(100, Level.SPENT, Sign.RESTING),
    "resting": IconState(None, sign=Sign.RESTING),
    "sign in": IconState(None, sign=Sign.SIGN_IN),
    "sign in, one serves": IconState(42, Level.OK, Sign.SIGN_IN),
    "offline": IconState(42, Level.OK, Sign.OFFLINE),
    "paused": IconState(42, Level.OK, Sign.PAUSED),
    "no account": IconState(None, sign=Sign.EMPTY),
    "no reading": IconState(None, sign=Sign.UNREAD),
    "demo": IconState(62, Level.OK, demo=True),
}
"""What the icon can say."""


# --- the program's icon ----------------------------------------------------------------------------


def svg(polygons: Iterable[Polygon], side: int, title: str = "Tidegate") -> str:
    """Polygons as SVG."""
    shapes = list(polygons)
    size = f'width="{side}" height="{side}" viewBox="0 0 {side} {side}"'
    shades = "\n".join(_shade(number, polygon) for number, polygon in enumerate(shapes) if polygon.below)
    shapes_of = "\n".join(_polygon(number, polygon, side) for number, polygon in enumerate(shapes))
    definitions = f"  <defs>\n{shades}\n  </defs>\n" if shades else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n  <title>{title}</title>\n'
    return f"{head}{definitions}{shapes_of}\n</svg>\n"


def _shade(number: int, polygon: Polygon) -> str:
    stops = zip(("0", "1"), (polygon.paint, polygon.below or polygon.paint), strict=True)
    inner = "".join(f'<stop offset="{offset}" stop-color="{_hex(paint)}"/>' for offset, paint in stops)
    return f'    <linearGradient id="shade{number}" x1="0" y1="0" x2="0" y2="1">{inner}</linearGradient>'


def _polygon(number: int, polygon: Polygon, side: int) -> str:
    points = " ".join(f"{x * side:.2f},{y * side:.2f}" for x, y in polygon.points)
    fill = f"url(#shade{number})" if polygon.below else _hex(polygon.paint)
    return f'  <polygon points="{points}" fill="{fill}"/>'


def _hex(paint: Paint) -> str:
    return f"#{bytes(paint[:3]).hex()}"


# --- the sheet -------------------------------------------------------------------------------------

COLUMNS: tuple[tuple[str, Panel, Colour, bool], ...] = (
    ("dark panel", Panel.DARK, (43, 48, 54), True),
    ("light panel", Panel.LIGHT, (242, 241, 240), True),
    ("high contrast", Panel.CONTRAST_DARK, (0, 0, 0), True),
    ("high contrast", Panel.CONTRAST_LIGHT, (255, 255, 255), True),
    ("one colour", Panel.DARK, (43, 48, 54), False),
    ("macOS, one colour", Panel.TINTING, (222, 224, 230), False),
)
"""Name, panel, its colour, and whether the icon has colours."""
SHEET_SIZES = (16, 22, 32, 48)
_GAP = 8
_LABEL = 148
_HEAD = 30
_ROW = max(SHEET_SIZES) + 2 * _GAP
_COLUMN = sum(SHEET_SIZES) + _GAP * (len(SHEET_SIZES) + 1)
_INK: Colour = (40, 48, 58)
_TEXT = 13


def sheet() -> Image.Image:
    """All states, in several sizes, on each kind of panel."""
    page = Image.new("RGB", (_LABEL + _COLUMN * len(COLUMNS), _HEAD + _ROW * len(STATES)), (255, 255, 255))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(_TEXT)
    for row, name in enumerate(STATES):
        pen.text((_GAP, _HEAD + row * _ROW + _ROW // 2), name, _INK, font, anchor="lm")
    for column, (name, panel, ground, colours) in enumerate(COLUMNS):
        left = _LABEL + column * _COLUMN
        pen.text((left + _COLUMN // 2, _HEAD // 2), name, _INK, font, anchor="mm")
        pen.rectangle((left, _HEAD, left + _COLUMN - 1, page.height), ground)
        for at, picture in _pictures(panel, IconStyle(colours=colours)):
            page.paste(picture, (left + at[0], at[1]), picture)
    return page.quantize(256, dither=Image.Dither.NONE)


def _pictures(panel: Panel, style: IconStyle) -> Iterator[tuple[tuple[int, int], Image.Image]]:
    for row, state in enumerate(STATES.values()):
        left = _GAP
        for size in SHEET_SIZES:
            styled = IconState(state.percent, state.level, state.sign, state.demo, style)
            yield (left, _HEAD + row * _ROW + (_ROW - size) // 2), draw(styled, size, panel).convert("RGBA")
            left += size + _GAP


def main() -> None:
    """Write them all."""
    for place in (FOLDER / "tidegate.svg", PAGE_ICON):
        place.write_text(svg(application(256), 256), encoding="utf-8", newline="\n")
    (FOLDER / "tidegate-symbolic.svg").write_text(svg(symbolic(), 16), encoding="utf-8", newline="\n")
    for size in SIZES:
        render(size).save(FOLDER / f"tidegate-{size}.png", optimize=True)
    *others, largest = map(render, ICO_SIZES)
    largest.save(FOLDER / "tidegate.ico", sizes=[(size, size) for size in ICO_SIZES], append_images=others)
    *others, largest = (render(size, ICNS_MARGIN) for size in ICNS_SIZES)
    largest.save(FOLDER / "tidegate.icns", append_images=others)
    sheet().save(FOLDER / "states.png", optimize=True)


if __name__ == "__main__":
    main()
