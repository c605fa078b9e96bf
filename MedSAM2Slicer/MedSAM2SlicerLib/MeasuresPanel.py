"""The measures of the chosen lesion on the panel, its diameters in the views, and the table of all lesions.

Nothing is measured while a propagation writes: afterwards, and after any other change, a moment later. Lines that are
drawn follow.
"""

from __future__ import annotations

from typing import Optional

import qt
import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.DiameterLines import drawLines, drawnSegments, linesOf, removeLines
from MedSAM2SlicerLib.Measures import Measures
from MedSAM2SlicerLib.MeasuresTable import showTable, writeTable
from MedSAM2SlicerLib.SegmentationObserver import SegmentationObserver
from MedSAM2SlicerLib.SegmentMeasures import SegmentMeasures

AFTER_MS = 150


class MeasuresPanel:
    """`uiFile` is Resources/UI/MeasuresPanel.ui."""

    def __init__(self, uiFile: str, controller) -> None:
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._controller = controller
        self._parameters = None
        self._known = SegmentMeasures()
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER_MS)
        self._timer.connect("timeout()", self.measureNow)
        self._observer = SegmentationObserver(self.measureSoon, self.measureSoon)
        self.ui.diametersButton.connect("toggled(bool)", self.onDiametersToggled)
        self.ui.tableButton.connect("clicked()", self.onTableClicked)
        self.setParameters(None)

    def setParameters(self, parameters) -> None:
        self._parameters = parameters
        self._timer.stop()
        self._known.forget()
        self.update()

    def update(self) -> None:
        """May be called as often as one likes: what it costs is spent later, and once."""
        self._observer.follow(self._segmentation())
        isFree = self._segmentation() is not None and not self._controller.isPropagating
        self.widget.setEnabled(isFree)
        if isFree:
            self.measureSoon()
        elif self._segmentation() is None:
            self._show(None)

    def measureSoon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def measureNow(self) -> None:
        segmentationNode = self._segmentation()
        if segmentationNode is None or self._controller.isPropagating:
            return
        self._show(self._known.of(segmentationNode, self._parameters.segmentId))
        for segmentId in drawnSegments(segmentationNode):
            self._drawAgain(segmentationNode, segmentId)

    # ---- slots

    def onDiametersToggled(self, isChecked: bool) -> None:
        segmentationNode = self._segmentation()
        if segmentationNode is None or isChecked == self._areDrawn():
            return
        segmentId = self._parameters.segmentId
        if isChecked:
            drawLines(segmentationNode, segmentId, self._known.of(segmentationNode, segmentId))
        else:
            removeLines(segmentationNode, segmentId)
        self.measureNow()

    def onTableClicked(self) -> None:
        if self._segmentation() is not None:
            showTable(writeTable(self._segmentation(), self._known))

    # ---- private

    def _segmentation(self):
        return self._parameters.segmentation if self._parameters is not None else None

    def _areDrawn(self) -> bool:
        segmentationNode = self._segmentation()
        return segmentationNode is not None and bool(linesOf(segmentationNode, self._parameters.segmentId))

    def _drawAgain(self, segmentationNode, segmentId: str) -> None:
        if segmentationNode.GetSegmentation().GetSegment(segmentId) is None:
            removeLines(segmentationNode, segmentId)
        else:
            drawLines(segmentationNode, segmentId, self._known.of(segmentationNode, segmentId))

    def _show(self, measures: Optional[Measures]) -> None:
        self.ui.measuresLabel.text = measuresText(measures) if measures is not None else ""
        self.ui.measuresLabel.setVisible(measures is not None)
        self.ui.diametersButton.setEnabled(measures is not None)
        wasBlocked = self.ui.diametersButton.blockSignals(True)
        self.ui.diametersButton.setChecked(self._areDrawn())
        self.ui.diametersButton.blockSignals(wasBlocked)


def measuresText(measures: Measures) -> str:
    """Two short lines; the volume is in the list."""
    diameters = _("{long} × {short} mm (slice {slice})").format(
        long=f"{measures.longAxis.length_mm:.1f}",
        short=f"{measures.shortAxis.length_mm:.1f}",
        slice=f"{measures.axis}{measures.slice}",
    )
    right, anterior, superior = (f"{length:.0f}" for length in measures.extent_mm)
    extent = _("R-L {right}, A-P {anterior}, S-I {superior} mm")
    return f"{diameters}\n{extent.format(right=right, anterior=anterior, superior=superior)}"
