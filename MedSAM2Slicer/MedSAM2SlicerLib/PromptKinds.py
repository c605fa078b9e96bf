"""The kinds of prompts, as they are written into the scene; they stay as they are, since scenes are kept for years."""

from __future__ import annotations

from typing import Union

from slicer.i18n import tr as _

from medsam2_protocol.prompts import BoxPrompt, LassoPrompt, MaskPrompt, PointPrompt, ScribblePrompt

BOX, LASSO, MASK = "box", "lasso", "mask"
POSITIVE, NEGATIVE = "positive", "negative"
SCRIBBLE, NEGATIVE_SCRIBBLE = "scribble", "negativeScribble"
KINDS = (BOX, LASSO, MASK, POSITIVE, NEGATIVE, SCRIBBLE, NEGATIVE_SCRIBBLE)
CURVES = (LASSO, MASK, SCRIBBLE, NEGATIVE_SCRIBBLE)
# Of each of these groups a slice has one: what is drawn later takes its place.
ONE_ON_A_SLICE = ((BOX, LASSO), (MASK,))
PlacedPrompt = Union[BoxPrompt, LassoPrompt, MaskPrompt, PointPrompt, ScribblePrompt]


def kindOfPrompt(prompt: PlacedPrompt) -> str:
    if isinstance(prompt, PointPrompt):
        return POSITIVE if prompt.positive else NEGATIVE
    if isinstance(prompt, ScribblePrompt):
        return SCRIBBLE if prompt.positive else NEGATIVE_SCRIBBLE
    return {BoxPrompt: BOX, LassoPrompt: LASSO, MaskPrompt: MASK}[type(prompt)]


def kindTitle(kind: str) -> str:
    return {
        BOX: _("Box"),
        LASSO: _("Lasso"),
        MASK: _("Mask"),
        POSITIVE: _("Point +"),
        NEGATIVE: _("Point -"),
        SCRIBBLE: _("Scribble +"),
        NEGATIVE_SCRIBBLE: _("Scribble -"),
    }[kind]
