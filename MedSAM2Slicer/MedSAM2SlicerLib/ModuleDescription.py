"""What Slicer shows under *Help & Acknowledgement*, as HTML."""

from __future__ import annotations

from slicer.i18n import tr as _

HOMEPAGE = "https://github.com/MedSAM2Slicer/MedSAM2Slicer"
DOCUMENTS = f"{HOMEPAGE}/blob/main"
TUTORIAL = f"{DOCUMENTS}/docs/tutorial.md"
PRIVACY = f"{DOCUMENTS}/docs/privacy.md"
LICENCE = f"{DOCUMENTS}/LICENSE.txt"
SAM2_PAPER = "https://arxiv.org/abs/2408.00714"
MEDSAM2_PAPER = "https://arxiv.org/abs/2504.03600"


def helpText() -> str:
    return "".join(f"<p>{paragraph}</p>" for paragraph in (_steps(), _warning(), _privacy(), _links()))


def acknowledgementText() -> str:
    text = _(
        "MedSAM2Slicer is free software: {licence}. Models that are downloaded have licences of their own, which the "
        "list of models names. It is built on 3D Slicer and on the architecture of SAM 2: please cite Ravi et al., "
        "{sam2}, 2024, and, if you use its checkpoints, Ma et al., {medsam2}, 2025."
    )
    return text.format(
        licence=_link(LICENCE, "Apache-2.0"),
        sam2=_link(SAM2_PAPER, "SAM 2: Segment Anything in Images and Videos"),
        medsam2=_link(MEDSAM2_PAPER, "MedSAM2: Segment Anything in 3D Medical Images and Videos"),
    )


def _steps() -> str:
    return _(
        "A box on one slice becomes a segment of the whole structure, found by a model of the SAM 2 family:<br>"
        "1. Press B.<br>"
        "2. Drag around the structure in a slice view; the mask of this slice appears.<br>"
        "3. Press Space; the mask is propagated slice by slice, in both directions, until the structure ends."
    )


def _warning() -> str:
    return _(
        "<b>Not for clinical use.</b> A model can be wrong on any slice, above all on the first and the last ones: a "
        "person has to check the result, slice by slice, before it is used for anything."
    )


def _privacy() -> str:
    text = _("Everything is computed on this computer; no patient data leaves it ({more}).")
    return text.format(more=_link(PRIVACY, _("what does, and when")))


def _links() -> str:
    text = _("{documentation}, {tutorial} with a case from Sample Data.")
    return text.format(documentation=_link(HOMEPAGE, _("Documentation")), tutorial=_link(TUTORIAL, _("tutorial")))


def _link(address: str, text: str) -> str:
    return f'<a href="{address}">{text}</a>'
