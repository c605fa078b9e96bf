"""Draws the pictures of the sample cases in Slicer's Sample Data module: each with its lesion and box.

    python Resources/draw_thumbnails.py

Schematic drawings of our own, no patient in them. Laid out on a grid of 128 and drawn larger than they are
saved, so that scaling down smooths the edges.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

ICONS = Path(__file__).resolve().parent.parent / "MedSAM2Slicer/Resources/Icons"
GRID, SIZE, SCALE = 128, 256, 8
NIGHT, BODY, ORGAN, LESION, AIR = "#16202c", "#5d6b7a", "#8a97a5", "#d3dae1", "#0b1118"
BONE, BOX, CONTOUR = "#eef2f5", "#ffc93c", "#35d07f"

Bounds = tuple[float, float, float, float]


def main() -> None:
    drawings = {"SampleBrain": brain, "SampleLiver": liver, "SampleChest": chest, "SampleThigh": thigh}
    for name, draw in drawings.items():
        picture = Image.new("RGB", (GRID * SCALE, GRID * SCALE), NIGHT)
        lesion = draw(ImageDraw.Draw(picture))
        picture = picture.filter(ImageFilter.GaussianBlur(SCALE * 0.8))
        prompt(ImageDraw.Draw(picture), lesion)
        small = picture.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
        small.quantize(64).save(ICONS / f"{name}.png", optimize=True)


def brain(pen: ImageDraw.ImageDraw) -> Bounds:
    """Skull, two hemispheres, ventricles, and a lesion at the surface."""
    ellipse(pen, (18, 8, 110, 120), BONE)
    ellipse(pen, (23, 13, 105, 115), AIR)
    ellipse(pen, (26, 16, 102, 112), ORGAN)
    for bounds in ((64, 17, 64, 46), (64, 82, 64, 111)):
        pen.line(scaled(bounds), fill=BODY, width=2 * SCALE)
    ellipse(pen, (52, 46, 62, 82), AIR)
    ellipse(pen, (66, 46, 76, 82), AIR)
    return blob(pen, (78, 30, 98, 52))


def liver(pen: ImageDraw.ImageDraw) -> Bounds:
    """A slice of the abdomen: liver on the left of the picture, spine, aorta, spleen."""
    ellipse(pen, (6, 20, 122, 112), BODY)
    ellipse(pen, (12, 26, 116, 106), "#3f4b58")
    pen.polygon([s * SCALE for s in (16, 62, 30, 36, 60, 30, 86, 36, 74, 52, 56, 60, 50, 90, 28, 90)], fill=ORGAN)
    ellipse(pen, (92, 56, 112, 88), "#7b8896")
    ellipse(pen, (54, 80, 76, 102), BONE)
    ellipse(pen, (60, 66, 70, 76), LESION)
    return blob(pen, (30, 52, 46, 68))


def chest(pen: ImageDraw.ImageDraw) -> Bounds:
    """Two lungs, heart, spine, and a lesion in a lung."""
    ellipse(pen, (6, 24, 122, 108), BODY)
    ellipse(pen, (14, 32, 58, 100), AIR)
    ellipse(pen, (70, 32, 114, 100), AIR)
    ellipse(pen, (50, 42, 84, 82), ORGAN)
    ellipse(pen, (54, 84, 74, 104), BONE)
    return blob(pen, (24, 50, 40, 66))


def thigh(pen: ImageDraw.ImageDraw) -> Bounds:
    """Fat, muscle, the femur, and a lesion in the muscle."""
    ellipse(pen, (14, 14, 114, 114), "#3f4b58")
    ellipse(pen, (26, 26, 104, 104), ORGAN)
    ellipse(pen, (60, 48, 82, 70), BONE)
    ellipse(pen, (65, 53, 77, 65), BODY)
    return blob(pen, (34, 56, 56, 84))


def blob(pen: ImageDraw.ImageDraw, bounds: Bounds) -> Bounds:
    ellipse(pen, bounds, LESION)
    return bounds


def prompt(pen: ImageDraw.ImageDraw, lesion: Bounds) -> None:
    """The contour of the lesion and the box around it."""
    left, top, right, bottom = lesion
    pen.ellipse(scaled(lesion), outline=CONTOUR, width=2 * SCALE)
    pen.rectangle(scaled((left - 6, top - 6, right + 6, bottom + 6)), outline=BOX, width=2 * SCALE)


def ellipse(pen: ImageDraw.ImageDraw, bounds: Bounds, color: str) -> None:
    pen.ellipse(scaled(bounds), fill=color)


def scaled(bounds: Bounds) -> list[float]:
    return [value * SCALE for value in bounds]


if __name__ == "__main__":
    main()
