"""What a person reads on the screen: the words of a picture and where they stand, by Tesseract."""

import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from io import BytesIO
from itertools import pairwise

from PIL import Image, ImageChops, ImageOps, ImageStat

from tests.desktop.robot import Box

READ_S = 30.0
SCALE = 3
"""Tesseract is made for letters of 30 pixels, a menu has letters of 10."""
ONE_BLOCK = "6"
"""Lines below one another, as a menu has them."""
ALIKE = 0.75
"""The share of letters that must be right: `5 h` is read as `5h`, a dot as a hyphen."""
LEVEL_OF_WORDS = "5"
WIDE_GAP = 24
DARK = 128
SPECK = 24
"""A difference smaller than this is noise, such as a shadow that is still fading."""


@dataclass(frozen=True)
class Line:
    """Some words beside one another."""

    text: str
    box: Box

    @property
    def middle(self) -> tuple[int, int]:
        return (self.box[0] + self.box[2]) // 2, (self.box[1] + self.box[3]) // 2


def read(screen: Image.Image, area: Box) -> list[Line]:
    """The lines in an area, from the top down, in coordinates of the screen."""
    part = screen.crop(area).convert("L")
    if ImageStat.Stat(part).median[0] < DARK:
        part = ImageOps.invert(part)
    part = ImageOps.autocontrast(part).resize((part.width * SCALE, part.height * SCALE), Image.Resampling.LANCZOS)
    picture = BytesIO()
    part.save(picture, "png")
    done = subprocess.run(
        ["tesseract", "-", "-", "--dpi", "300", "--psm", ONE_BLOCK, "tsv"],
        input=picture.getvalue(),
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        capture_output=True,
        check=True,
        timeout=READ_S,
    )
    return list(_lines(done.stdout.decode(), area))


def _lines(table: str, area: Box) -> Iterator[Line]:
    """Tesseract's table has a row for each word, which names its page, block, paragraph and line."""
    words: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for row in table.splitlines()[1:]:
        level, *place, _word, left, top, width, height, _confidence, text = row.split("\t")
        if level == LEVEL_OF_WORDS and text.strip():
            box = int(left), int(top), int(left) + int(width), int(top) + int(height)
            words[tuple(place)].append(Line(text, _on_screen(box, area)))
    for found in words.values():
        yield from _parts(found)


def _parts(words: list[Line]) -> Iterator[Line]:
    """The words as lines: where a gap is wide, another column begins, such as a submenu beside its menu."""
    part = words[:1]
    for before, word in pairwise(words):
        if word.box[0] - before.box[2] > WIDE_GAP:
            yield joined(part)
            part = []
        part.append(word)
    yield joined(part)


def joined(words: Sequence[Line]) -> Line:
    """Several as one, with the box round them all."""
    lefts, tops, rights, bottoms = zip(*(word.box for word in words), strict=True)
    return Line(" ".join(word.text for word in words), (min(lefts), min(tops), max(rights), max(bottoms)))


def _on_screen(box: Box, area: Box) -> Box:
    left, top, right, bottom = (edge // SCALE for edge in box)
    return left + area[0], top + area[1], right + area[0], bottom + area[1]


def find(lines: Iterable[Line], wanted: str) -> Line | None:
    """The line that says this, if one does; a misread letter or two and ornaments round it do not matter."""
    best = max(lines, key=lambda line: likeness(line.text, wanted), default=None)
    return best if best is not None and likeness(best.text, wanted) >= ALIKE else None


def likeness(text: str, wanted: str) -> float:
    """The share of the wanted letters that the text has in this order. Spaces and case do not count."""
    text, wanted = (value.casefold().replace(" ", "") for value in (text, wanted))
    same = sum(block.size for block in SequenceMatcher(None, text, wanted, autojunk=False).get_matching_blocks())
    return 2 * same / (len(text) + len(wanted)) if text and wanted else 0.0


def changed(before: Image.Image, after: Image.Image, apart_from: Sequence[Box] = ()) -> Box | None:
    """The smallest box round all that differs between two looks, None when nothing does."""
    difference = ImageChops.difference(before, after).convert("L").point(lambda value: 255 if value > SPECK else 0)
    for box in apart_from:
        difference.paste(0, box)
    return difference.getbbox()
