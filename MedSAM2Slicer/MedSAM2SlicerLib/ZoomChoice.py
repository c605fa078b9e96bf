"""The part of the panel that chooses whether a model of whole slices is shown objects closely.

It edits the parameter node's `zoom` and nothing else. The embedded model has a crop of its own, so the choice cannot be
changed while it is used; it stays what it is for the next model.
"""

from __future__ import annotations

from typing import Callable

from slicer.i18n import tr as _

from medsam2_protocol.messages import ZOOM_AUTO, ZOOM_OFF, ZOOM_ON, ZOOMS
from MedSAM2SlicerLib.EngineLists import EMBEDDED


class ZoomChoice:
    """`onChosen` is called after the person has chosen something else. `update` may be called as often as one likes."""

    def __init__(self, ui) -> None:
        self.onChosen: Callable[[], None] = lambda: None
        self._selector = ui.zoomSelector
        self._parameters = None
        for zoom in ZOOMS:
            self._selector.addItem(_TITLES[zoom](), zoom)
        self._selector.connect("currentIndexChanged(int)", self.onSelected)

    def setParameters(self, parameters) -> None:
        self._parameters = parameters
        self.update()

    def update(self) -> None:
        hasParameters = self._parameters is not None
        isEmbedded = hasParameters and self._parameters.model == EMBEDDED
        self._selector.setEnabled(hasParameters and not isEmbedded)
        self._selector.toolTip = _embeddedTip() if isEmbedded else _tip()
        index = ZOOMS.index(chosenZoom(self._parameters)) if hasParameters else 0
        if self._selector.currentIndex != index:
            wasBlocked = self._selector.blockSignals(True)
            self._selector.setCurrentIndex(index)
            self._selector.blockSignals(wasBlocked)

    def onSelected(self, index: int) -> None:
        if self._parameters is not None and index >= 0 and ZOOMS[index] != chosenZoom(self._parameters):
            self._parameters.zoom = ZOOMS[index]
            self.onChosen()


def chosenZoom(parameters) -> str:
    """What another version may have saved counts as off."""
    return parameters.zoom if parameters.zoom in ZOOMS else ZOOM_OFF


_TITLES = {
    ZOOM_OFF: lambda: _("Off: whole slices"),
    ZOOM_AUTO: lambda: _("Automatic: small objects closely"),
    ZOOM_ON: lambda: _("On: every object closely"),
}


def _tip() -> str:
    return _(
        "Models are trained on whole slices. Closely, a small object is seen up to four times as large, which takes "
        "more computation. How good the masks then are has not been measured with the published models."
    )


def _embeddedTip() -> str:
    return _("The embedded model always looks closely at the object.")
