"""The colour of a lesion, chosen in Qt's colour dialog, which stays open beside the work and blocks nothing.

The views follow while a colour is tried; Cancel gives the lesion its old one back.
"""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _


class LesionColor:
    """One for a list; its dialog is open for at most one lesion."""

    def __init__(self) -> None:
        self._dialog = None
        self._segmentationNode = None
        self._segmentId = ""
        self._before = (0.0, 0.0, 0.0)

    def open(self, segmentationNode, segmentId: str) -> None:
        self.close()
        self._segmentationNode, self._segmentId = segmentationNode, segmentId
        segment = self._segment()
        if segment is None:
            return
        self._before = segment.GetColor()
        dialog = qt.QColorDialog(slicer.util.mainWindow())
        dialog.setOption(qt.QColorDialog.DontUseNativeDialog, True)
        dialog.setWindowTitle(_("Colour of {lesion}").format(lesion=segment.GetName()))
        dialog.setCurrentColor(qt.QColor(*[round(255 * value) for value in self._before]))
        dialog.connect("currentColorChanged(QColor)", self.onColorTried)
        dialog.connect("finished(int)", self.onFinished)
        dialog.setModal(False)
        dialog.show()
        self._dialog = dialog

    def close(self) -> None:
        """The colour that is tried now stays."""
        dialog, self._dialog = self._dialog, None
        if dialog is not None:
            dialog.hide()
            dialog.deleteLater()

    def onColorTried(self, color) -> None:
        self._paint((color.redF(), color.greenF(), color.blueF()))

    def onFinished(self, result: int) -> None:
        if self._dialog is not None and result == qt.QDialog.Rejected:
            self._paint(self._before)
        self.close()

    def _paint(self, color: tuple[float, float, float]) -> None:
        segment = self._segment()
        if segment is not None and segment.GetColor() != color:
            segment.SetColor(*color)

    def _segment(self):
        """None if the lesion or its segmentation was deleted meanwhile."""
        node = self._segmentationNode
        if node is None or node.GetScene() is None:
            return None
        return node.GetSegmentation().GetSegment(self._segmentId)
