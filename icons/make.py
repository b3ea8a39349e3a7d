"""Write the program's icon, as SVG and as PNG: `python -m icons.make`.

The drawing itself is in `tray/icon.py`, because the program looks like the icon that it puts in the tray.
"""  # noqa: INP001 - a script beside its pictures, not a package

from pathlib import Path

from tray.icon import Polygon, application, render

FOLDER = Path(__file__).parent
SIZE = 256


def svg() -> str:
    """The icon as SVG."""
    paths = "\n".join(map(_polygon, application(SIZE)))
    size = f'width="{SIZE}" height="{SIZE}" viewBox="0 0 {SIZE} {SIZE}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n  <title>Tidegate</title>\n{paths}\n</svg>\n'


def _polygon(polygon: Polygon) -> str:
    points = " ".join(f"{x * SIZE:.1f},{y * SIZE:.1f}" for x, y in polygon.points)
    return f'  <polygon points="{points}" fill="#{bytes(polygon.colour).hex()}"/>'


if __name__ == "__main__":
    (FOLDER / "tidegate.svg").write_text(svg(), encoding="utf-8")
    render(application(SIZE), SIZE).save(FOLDER / "tidegate.png", optimize=True)
