"""How prompts look in the views: a colour for every kind, lighter and thicker for the one chosen in the list."""

from __future__ import annotations

import slicer

from MedSAM2SlicerLib.PromptKinds import BOX, LASSO, MASK, NEGATIVE, NEGATIVE_SCRIBBLE, POSITIVE, SCRIBBLE

Colour = tuple[float, float, float]
YELLOW, GREEN, RED, BLUE = (1.0, 0.85, 0.1), (0.2, 0.9, 0.3), (1.0, 0.3, 0.25), (0.35, 0.75, 1.0)
COLOURS: dict[str, Colour] = {
    BOX: YELLOW,
    LASSO: YELLOW,
    MASK: BLUE,
    POSITIVE: GREEN,
    SCRIBBLE: GREEN,
    NEGATIVE: RED,
    NEGATIVE_SCRIBBLE: RED,
}
LIGHTER, DARKER = 0.45, 0.75
POINT_PERCENT, CHOSEN_POINT_PERCENT = 2.0, 2.6  # of the view
VERTEX_PERCENT = 0.9
LINE_SHARE, CHOSEN_LINE_SHARE = 0.35, 0.6  # of a vertex


def style(node, kind: str) -> None:
    """Of a new markup, which is the chosen one."""
    node.CreateDefaultDisplayNodes()
    displayNode = node.GetDisplayNode()
    with slicer.util.NodeModify(displayNode):
        displayNode.SetPropertiesLabelVisibility(False)
        displayNode.SetVisibility3D(False)
        if kind == BOX:
            displayNode.SetFillOpacity(0.0)
            displayNode.SetRotationHandleVisibility(False)
            displayNode.SetTranslationHandleVisibility(False)
        else:
            displayNode.SetPointLabelsVisibility(False)
        if kind == NEGATIVE:
            displayNode.SetGlyphType(displayNode.ThickCross2D)
        setChosen(node, kind, True)


def showOnSlice(node, thickness_mm: float) -> None:
    """Draw the line of a curve where it lies, and not faintly in the neighbouring slices and in views across it."""
    displayNode = node.GetDisplayNode()
    displayNode.SetLineColorFadingStart(0.45 * thickness_mm)
    displayNode.SetLineColorFadingEnd(0.5 * thickness_mm)
    displayNode.SetLineColorFadingSaturation(1.0)
    displayNode.SetLineColorFadingHueOffset(0.0)


def setChosen(node, kind: str, isChosen: bool) -> None:
    """Whether it is the one chosen in the list. Nothing is told to anybody where nothing changes."""
    displayNode = node.GetDisplayNode()
    if displayNode is None:
        return
    colour = [LIGHTER + (1 - LIGHTER) * one if isChosen else DARKER * one for one in COLOURS[kind]]
    with slicer.util.NodeModify(displayNode):
        displayNode.SetColor(*colour)
        displayNode.SetSelectedColor(*colour)
        if kind in (POSITIVE, NEGATIVE):
            displayNode.SetGlyphScale(CHOSEN_POINT_PERCENT if isChosen else POINT_PERCENT)
        elif kind != BOX:
            displayNode.SetGlyphScale(VERTEX_PERCENT)
            displayNode.SetLineThickness(CHOSEN_LINE_SHARE if isChosen else LINE_SHARE)
