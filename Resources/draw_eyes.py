"""Draws the two icons of the visibility column of the lesion list: an eye that is open, and one that is closed.

    python Resources/draw_eyes.py

Grey enough to be seen on a light and on a dark table.
"""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw

FOLDER = Path(__file__).resolve().parent.parent / "MedSAM2Slicer/Resources/Icons"
SIZE, SCALE = 32, 8
OPEN_COLOR, CLOSED_COLOR = "#5b8dbf", "#9a9a9a"
CENTRE, HALF_WIDTH, LID = 16, 13, 9


def main() -> None:
    open_eye().save(FOLDER / "LesionVisible.png", optimize=True)
    closed_eye().save(FOLDER / "LesionHidden.png", optimize=True)


def open_eye() -> Image.Image:
    image, pen = canvas()
    pen.line(lid(-1), fill=OPEN_COLOR, width=2 * SCALE, joint="curve")
    pen.line(lid(1), fill=OPEN_COLOR, width=2 * SCALE, joint="curve")
    pen.ellipse(disc(5.5), fill=OPEN_COLOR)
    pen.ellipse(disc(2), fill="#ffffff")
    return small(image)


def closed_eye() -> Image.Image:
    image, pen = canvas()
    lower = lid(1)
    pen.line(lower, fill=CLOSED_COLOR, width=2 * SCALE, joint="curve")
    for share in (0.2, 0.5, 0.8):
        x, y = lower[round(share * (len(lower) - 1))]
        pen.line([(x, y), (x + (share - 0.5) * 8 * SCALE, y + 4 * SCALE)], fill=CLOSED_COLOR, width=2 * SCALE)
    return small(image)


def canvas() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGBA", (SIZE * SCALE, SIZE * SCALE))
    return image, ImageDraw.Draw(image)


def lid(sign: int) -> list[tuple[float, float]]:
    """One of the two arcs from corner to corner; 1 is the lower."""
    shares = [step / 40 for step in range(41)]
    return [
        ((CENTRE - HALF_WIDTH + 2 * HALF_WIDTH * x) * SCALE, (CENTRE + sign * LID * math.sin(math.pi * x)) * SCALE)
        for x in shares
    ]


def disc(radius: float) -> tuple[float, float, float, float]:
    return tuple((CENTRE + side * radius) * SCALE for side in (-1, -1, 1, 1))


def small(image: Image.Image) -> Image.Image:
    return image.resize((SIZE, SIZE), Image.LANCZOS)


if __name__ == "__main__":
    main()
