"""The window of the next request: what is chosen in the scene, and what earlier prompts were computed with.

The choice is in the parameter node. What it came to is kept with the prompts, as an attribute of their markups whose
name is part of the saved scene, so that a propagation continues what its preview showed: today, and after a reload.
A request carries one window for all its prompts, so all prompts of a segment are kept with the same.
"""

from __future__ import annotations

from typing import Optional

from medsam2_protocol.messages import Window
from MedSAM2SlicerLib.IntensityWindow import (
    AUTOMATIC,
    NoWindow,
    SeenWindow,
    choices,
    defaultChoice,
    isChoice,
    windowOf,
)
from MedSAM2SlicerLib.PromptMarkups import promptsOf

WINDOW_ATTRIBUTE = "MedSAM2Slicer.Window"


def windowOfRequest(parameters, index: Optional[int]) -> Optional[Window]:
    """What goes with a request; None leaves it to the engine.

    A preview (of slice `index`) is computed with what is chosen, and displayed, now. A propagation (`index` None) goes
    on with the window of the preview, unless something else was chosen since.
    """
    choice = choiceFor(parameters.volume, parameters.window)
    seen = seenWindow(parameters) if index is None else None
    if seen is None or seen.choice != choice:
        seen = chosenWindow(parameters)
    for node in promptNodes(parameters):
        node.SetAttribute(WINDOW_ATTRIBUTE, seen.toText())
    return seen.window


def choiceFor(volumeNode, saved: str) -> str:
    """What was chosen, if it fits this volume, else what fits best: an abdomen window says nothing about a PET."""
    fitting = [name for name, _title in choices(volumeNode)]
    return saved if isChoice(saved) and saved.partition(":")[0] in fitting else defaultChoice(volumeNode)


def seenWindow(parameters) -> Optional[SeenWindow]:
    """What the segment's newest prompt was last computed with."""
    nodes = promptNodes(parameters)
    return SeenWindow.fromText(nodes[-1].GetAttribute(WINDOW_ATTRIBUTE) or "") if nodes else None


def promptNodes(parameters) -> list:
    """The markups that are prompts of the chosen segment, of any kind, in the order in which they were made."""
    if parameters is None or parameters.volume is None or parameters.segmentation is None:
        return []
    return promptsOf(parameters.volume, parameters.segmentation, parameters.segmentId)


def chosenWindow(parameters) -> SeenWindow:
    """A choice that makes no sense for these voxels leaves it to the engine; the panel says so beside the choice."""
    try:
        return windowOf(parameters.volume, choiceFor(parameters.volume, parameters.window))
    except NoWindow:
        return SeenWindow(AUTOMATIC, None)
