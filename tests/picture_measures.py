"""How pictures and colours compare, for the tests of icons: differences, contrast, and what colour-blind people see."""

from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageChops

from tray.icon_shapes import Colour

Matrix = Sequence[Sequence[float]]

# Machado, Oliveira, Fernandes: A Physiologically-based Model for Simulation of Color Vision Deficiency (2009),
# severity 1.0, for linear RGB.
SIGHT: dict[str, Matrix] = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
    "no colours": ((0.2126, 0.7152, 0.0722),) * 3,
}


def on(picture: Image.Image, ground: Colour) -> Image.Image:
    """The picture as it is seen on a panel of this colour."""
    seen = Image.new("RGBA", picture.size, ground)
    seen.alpha_composite(picture.convert("RGBA"))
    return seen.convert("RGB")


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures, 0 to 1, over all pixels and bands."""
    bands = ImageChops.difference(one, other).split()
    total = sum(value * count for band in bands for value, count in enumerate(band.histogram()))
    return total / (255 * len(bands) * one.width * one.height)


def seen_with(sight: str, picture: Image.Image) -> Image.Image:
    """An RGB picture as somebody sees it who lacks one kind of cones, or all colours."""
    seen = picture.copy()
    pixels = [_seen(sight, *picture.getpixel((x, y))) for y in range(picture.height) for x in range(picture.width)]
    seen.putdata(pixels)
    return seen


@cache
def _seen(sight: str, red: int, green: int, blue: int) -> Colour:
    light = (linear(red), linear(green), linear(blue))
    mixed = (sum(part * share for part, share in zip(light, row, strict=True)) for row in SIGHT[sight])
    first, second, third = map(_byte, mixed)
    return first, second, third


def contrast(one: Colour, other: Colour) -> float:
    """The contrast of two colours as WCAG 2 defines it: 1 (none) to 21; 3 is asked of icons."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: Colour) -> float:
    red, green, blue = map(linear, colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def linear(value: int) -> float:
    """The light of one channel (sRGB)."""
    return value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4


def _byte(light: float) -> int:
    light = min(1.0, max(0.0, light))
    return round(255 * (light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))
