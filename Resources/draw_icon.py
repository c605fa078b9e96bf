"""Draws the icon of the extension and of its module: a box prompt on one slice, and the contour found in it.

    python Resources/draw_icon.py

Everything is laid out on a 128-pixel grid and drawn eight times as large, so that scaling down smooths the edges.
"""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
TARGETS = (ROOT / "Resources/MedSAM2Slicer.png", ROOT / "MedSAM2Slicer/Resources/Icons/MedSAM2Slicer.png")

SIZE, SCALE = 128, 8
NIGHT, BODY, ORGAN, LESION = "#16202c", "#5d6b7a", "#8a97a5", "#d3dae1"
BOX, CONTOUR = "#ffc93c", "#35d07f"

Point = tuple[float, float]


def main() -> None:
    icon = draw()
    for target in TARGETS:
        target.parent.mkdir(parents=True, exist_ok=True)
        icon.save(target, optimize=True)


def draw() -> Image.Image:
    slices = Image.new("RGBA", (SIZE * SCALE, SIZE * SCALE))
    pen = ImageDraw.Draw(slices)
    for offset, shade in ((12, "#3a4a5c"), (6, "#56687c")):
        pen.rounded_rectangle(scaled((4 + offset, 16 - offset, 112 + offset, 124 - offset)), 14 * SCALE, fill=shade)
    pen.rounded_rectangle(scaled((4, 16, 112, 124)), 14 * SCALE, fill=NIGHT)

    tissue = Image.new("RGBA", slices.size)
    pen = ImageDraw.Draw(tissue)
    pen.ellipse(scaled((12, 27, 104, 115)), fill=BODY)
    pen.polygon(blob((37, 64), 16, 21, 0.12), fill=ORGAN)
    pen.polygon(blob((55, 96), 11, 9, 0.08), fill=ORGAN)
    lesion = blob((72, 68), 17, 19, 0.16)
    pen.polygon(lesion, fill=LESION)
    slices.alpha_composite(tissue.filter(ImageFilter.GaussianBlur(0.8 * SCALE)))

    prompt = Image.new("RGBA", slices.size)
    pen = ImageDraw.Draw(prompt)
    pen.polygon(lesion, fill=CONTOUR + "59")
    pen.line([*lesion, *lesion[:2]], fill=CONTOUR, width=4 * SCALE, joint="curve")
    left, top, right, bottom = 47, 41, 98, 95
    pen.rectangle(scaled((left, top, right, bottom)), outline=BOX, width=3 * SCALE)
    for x, y in ((left + 1, top + 1), (right - 1, top + 1), (left + 1, bottom - 1), (right - 1, bottom - 1)):
        pen.ellipse(scaled((x - 5, y - 5, x + 5, y + 5)), fill=BOX, outline=NIGHT, width=SCALE)
    slices.alpha_composite(prompt)
    return slices.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def scaled(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(value * SCALE for value in values)


def blob(center: Point, half_width: float, half_height: float, unevenness: float) -> list[Point]:
    """A closed organic outline in large pixels: an ellipse whose radius swings by the share `unevenness`."""
    outline = []
    for step in range(240):
        angle = 2 * math.pi * step / 240
        radius = 1 + unevenness * (0.6 * math.sin(3 * angle + 0.7) + 0.4 * math.sin(2 * angle - 0.4))
        x = center[0] + half_width * radius * math.cos(angle)
        y = center[1] + half_height * radius * math.sin(angle)
        outline.append(scaled((x, y)))
    return outline


if __name__ == "__main__":
    main()
