"""What a segment is, in Slicer's own terminology: the string it keeps as a tag, and the colour that goes with it.

Codes and colours are those of "Segmentation category and type - 3D Slicer General Anatomy list", so that Slicer shows
them in its terminology selector and DICOM segmentation objects carry SNOMED CT.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from slicer.i18n import tr as _

from MedSAM2SlicerLib.SegmentTags import TERM_TAG, setTag, tagOf
from MedSAM2SlicerLib.StructureNames import TARGET_LIKE, sideOf

CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
ANATOMY_CONTEXT = "Anatomic codes - DICOM master list"
TAG = "TerminologyEntry"

MORPHOLOGY = ("49755003", "Morphologically Altered Structure")
TISSUE = ("85756007", "Tissue")
ANATOMY = ("123037004", "Anatomical Structure")
LEFT, RIGHT = ("7771000", "Left"), ("24028007", "Right")
RGB = tuple[int, int, int]
Code = tuple[str, str]


@dataclass(frozen=True)
class Term:
    """One entry; `color` is 0 to 255. A type with `hasSides` says in its modifier which side it is."""

    id: str
    category: Code
    type: Code
    color: RGB
    hasSides: bool = False

    def entry(self, side: str = "") -> str:
        """As vtkSegment keeps it; `side` is "L", "R" or ""."""
        modifier = {"L": _coded(LEFT), "R": _coded(RIGHT)}.get(side if self.hasSides else "", "^^")
        own = f"{CONTEXT}~{_coded(self.category)}~{_coded(self.type)}~{modifier}"
        return f"{own}~{ANATOMY_CONTEXT}~^^~^^"

    def rgb(self) -> tuple[float, float, float]:
        """The colour as MRML has it, 0 to 1."""
        red, green, blue = (value / 255.0 for value in self.color)
        return red, green, blue


def _coded(code: Code) -> str:
    return f"SCT^{code[0]}^{code[1]}"


NEOPLASM = Term("neoplasm", MORPHOLOGY, ("4147007", "Mass"), (144, 238, 144))
LYMPH_NODE = Term("lymphnode", TISSUE, ("59441001", "Lymph node"), (68, 172, 100))
ORGAN = Term("organ", TISSUE, ("113343008", "Organ"), (221, 130, 101))
TISSUE_TERM = Term("tissue", TISSUE, TISSUE, (128, 174, 128))

# TG-263's primary name → Slicer's entry.
ORGANS = {
    "Brain": Term("brain", ANATOMY, ("12738006", "Brain"), (250, 250, 225)),
    "SpinalCord": Term("spinalcord", ANATOMY, ("2748008", "Spinal cord"), (244, 214, 49)),
    "Heart": Term("heart", ANATOMY, ("80891009", "Heart"), (206, 110, 84)),
    "Lung": Term("lung", ANATOMY, ("39607008", "Lung"), (197, 165, 145), True),
    "Liver": Term("liver", ANATOMY, ("10200004", "Liver"), (221, 130, 101)),
    "Spleen": Term("spleen", ANATOMY, ("78961009", "Spleen"), (157, 108, 162)),
    "Pancreas": Term("pancreas", ANATOMY, ("15776009", "Pancreas"), (249, 180, 111)),
    "Kidney": Term("kidney", ANATOMY, ("64033007", "Kidney"), (185, 102, 83), True),
    "Stomach": Term("stomach", ANATOMY, ("69695003", "Stomach"), (216, 132, 105)),
    "Esophagus": Term("esophagus", ANATOMY, ("32849002", "Esophagus"), (211, 171, 143)),
    "Bladder": Term("bladder", ANATOMY, ("89837001", "Bladder"), (222, 154, 132)),
    "Prostate": Term("prostate", ANATOMY, ("41216001", "Prostate"), (230, 158, 140)),
    "Eye": Term("eye", ANATOMY, ("79652003", "Eyeball"), (194, 142, 0), True),
    "Bone_Mandible": Term("mandible", ANATOMY, ("91609006", "Mandible"), (222, 198, 101)),
}


def terms() -> list[tuple[str, Term]]:
    """Title and entry of what the panel offers."""
    return [
        (_("Tumour"), NEOPLASM),
        (_("Lymph node"), LYMPH_NODE),
        (_("Organ"), ORGAN),
        (_("Other tissue"), TISSUE_TERM),
    ]


def termOf(name: str) -> Term:
    """What a TG-263 name stands for: GTVn is a lymph node, any other target a mass, Kidney_L a kidney."""
    if TARGET_LIKE.match(name):
        return LYMPH_NODE if name[3:4] == "n" or name[4:5] == "n" else NEOPLASM
    if name.startswith("LN_"):
        return LYMPH_NODE
    bare = name.partition("^")[0].removesuffix("_L").removesuffix("_R")
    return ORGANS.get(bare, TISSUE_TERM)


def applyTerm(segment, term: Term, side: str = "", otherColors: Iterable[tuple[float, float, float]] = ()) -> None:
    """Give a segment its entry and its colour; a colour that another segment has already is lightened or darkened."""
    segment.SetTag(TAG, term.entry(side))
    segment.SetColor(*distinct(term.rgb(), otherColors))


def applyTermOfName(segment, otherColors: Iterable[tuple[float, float, float]] = ()) -> None:
    """What the name stands for; it is noted that nobody chose it."""
    name = segment.GetName() or ""
    applyTerm(segment, termOf(name), sideOf(name), otherColors)
    setTag(segment, TERM_TAG, tagOf(segment, TAG))


def followName(segment, otherColors: Iterable[tuple[float, float, float]] = ()) -> None:
    """After a new name: its term and colour. A name that stands for nothing takes the term of the earlier name away,
    but leaves one that a person chose, and the colour by which the lesion is known."""
    if termOf(segment.GetName() or "") is not TISSUE_TERM:
        applyTermOfName(segment, otherColors)
    elif tagOf(segment, TAG) and tagOf(segment, TAG) == tagOf(segment, TERM_TAG):
        segment.SetTag(TAG, TISSUE_TERM.entry())
        setTag(segment, TERM_TAG, TISSUE_TERM.entry())


def distinct(
    color: tuple[float, float, float], others: Iterable[tuple[float, float, float]]
) -> tuple[float, float, float]:
    """The colour, or a neighbour of it that is not taken: ten lesions of one kind must be told apart."""
    taken = [tuple(round(value, 3) for value in other) for other in others]
    for candidate in _neighbours(color):
        if tuple(round(value, 3) for value in candidate) not in taken:
            return candidate
    return color


def _neighbours(color: tuple[float, float, float]) -> Iterable[tuple[float, float, float]]:
    """First the colour, then its channels turned, then all of them darker and lighter."""
    red, green, blue = color
    turned = [(red, green, blue), (blue, red, green), (green, blue, red), (red, blue, green), (green, red, blue)]
    turned = list(dict.fromkeys([*turned, (blue, green, red)]))
    yield from turned
    for share in (0.6, 0.8, 0.4):
        yield from (tuple(value * share for value in one) for one in turned)
    for share in (0.5, 0.25, 0.75):
        yield from (tuple(value + (1 - value) * share for value in one) for one in turned)
