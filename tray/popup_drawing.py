"""Pictures of a menu's panels, for desktops that draw no menus. Values only: rows in, an image out."""

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from tray.popup import Mark, Metrics, Panel, left

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont

PAPER: Colour = (252, 252, 253)
INK: Colour = (24, 34, 46)
FAINT: Colour = (98, 108, 120)
"""For rows to be read only: 5.2 to 1 on PAPER, where WCAG asks for 4.5."""
LINE: Colour = (222, 226, 231)
FRAME: Colour = (168, 176, 186)
REACHED: Colour = (20, 98, 200)
"""Under the row that mouse or keys have reached: 5.7 to 1 with PAPER on it."""

OVERSAMPLING = 4
_ELLIPSIS = "…"


def metrics(font: Font, scale: float) -> Metrics:
    """The sizes of a menu in this font."""
    return Metrics(font.getlength, scale)


def draw(panel: Panel, font: Font, sizes: Metrics) -> Image.Image:
    """The panel as it looks now."""
    image = Image.new("RGB", (panel.box.width, panel.box.height), PAPER)
    pen = ImageDraw.Draw(image)
    for index in range(len(panel.rows)):
        top, bottom = panel.span(index)
        if bottom > 0 and top < panel.box.height:
            _draw_row(image, panel, index, font, sizes)
    for down, more in enumerate(panel.arrows()):
        if more:
            _draw_arrow(image, pen, sizes, down=bool(down))
    frame = sizes.px(1)
    pen.rectangle((0, 0, image.width - 1, image.height - 1), outline=FRAME, width=frame)
    return image


def _draw_row(image: Image.Image, panel: Panel, index: int, font: Font, sizes: Metrics) -> None:
    row = panel.rows[index]
    pen = ImageDraw.Draw(image)
    top, bottom = panel.span(index)
    middle = (top + bottom) // 2
    if not row.text:
        pen.rectangle((sizes.px(10), middle, image.width - sizes.px(10), middle + sizes.px(1) - 1), fill=LINE)
        return
    reached = index == panel.at
    if reached:
        inset = sizes.px(4)
        image.paste(REACHED, (inset, top), _rounded(image.width - 2 * inset, bottom - top, sizes.px(5)))
    colour = PAPER if reached else INK if row.enabled else FAINT
    start = left(panel.rows, sizes)
    room = image.width - start - (sizes.submenu if row.rows else sizes.side)
    pen.text((start, middle), elided(row.text, room, font), colour, font, anchor="lm")
    if row.mark:
        side = sizes.px(14)
        image.paste(colour, (sizes.px(11), middle - side // 2), _mark(row.mark, row.checked, side))
    if row.rows:
        side = sizes.px(10)
        image.paste(colour, (image.width - sizes.px(9) - side, middle - side // 2), _chevron(side))


def _draw_arrow(image: Image.Image, pen: ImageDraw.ImageDraw, sizes: Metrics, *, down: bool) -> None:
    """The field that says that there is more, and scrolls."""
    top = image.height - sizes.arrow if down else 0
    pen.rectangle((0, top, image.width, top + sizes.arrow - 1), fill=PAPER)
    edge = top if down else top + sizes.arrow - 1
    pen.line((0, edge, image.width, edge), fill=LINE, width=1)
    side = sizes.px(10)
    arrow = _chevron(side).rotate(-90 if down else 90)
    image.paste(INK, ((image.width - side) // 2, top + (sizes.arrow - side) // 2), arrow)


def elided(text: str, room: float, font: Font) -> str:
    """The text, cut with an ellipsis where it is longer than there is room."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + _ELLIPSIS) > room:
        text = text[:-1]
    return text.rstrip() + _ELLIPSIS


# --- shapes, as masks: smooth because they are drawn larger and made small ---------------------------


@lru_cache(maxsize=16)
def _rounded(width: int, height: int, radius: int) -> Image.Image:
    mask = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), radius * OVERSAMPLING, fill=255)
    return mask.resize((width, height), Image.Resampling.BOX)


@lru_cache(maxsize=16)
def _mark(mark: Mark, checked: bool, side: int) -> Image.Image:
    """A radio button or a box; the chosen one is filled, or ticked."""
    full = side * OVERSAMPLING
    mask = Image.new("L", (full, full))
    pen = ImageDraw.Draw(mask)
    stroke, box = round(full * 0.1), (0, 0, full - 1, full - 1)
    if mark is Mark.RADIO:
        pen.ellipse(box, outline=255, width=stroke)
        if checked:
            rim = full * 0.27
            pen.ellipse((rim, rim, full - 1 - rim, full - 1 - rim), fill=255)
    else:
        pen.rounded_rectangle(box, full * 0.18, outline=255, width=stroke)
        if checked:
            tick = [(full * x, full * y) for x, y in ((0.24, 0.52), (0.43, 0.7), (0.76, 0.3))]
            pen.line(tick, fill=255, width=round(full * 0.13), joint="curve")
    return mask.resize((side, side), Image.Resampling.BOX)


@lru_cache(maxsize=4)
def _chevron(side: int) -> Image.Image:
    """An angle that points to the right."""
    full = side * OVERSAMPLING
    mask = Image.new("L", (full, full))
    points = [(full * x, full * y) for x, y in ((0.36, 0.14), (0.68, 0.5), (0.36, 0.86))]
    ImageDraw.Draw(mask).line(points, fill=255, width=round(full * 0.13), joint="curve")
    return mask.resize((side, side), Image.Resampling.BOX)
