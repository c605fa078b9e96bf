"""The Export button: approved lesions first, all lesions only when somebody asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Callable

import qt
import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.ApprovedState import approvedIds
from MedSAM2SlicerLib.News import News
from MedSAM2SlicerLib.Remedy import Remedy
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SegmentExport import LABELMAP, SEGMENTATION, CannotExport, exportSegments


class Exporting:
    """`askForFile(name)` opens the dialog and returns a path, or "" if the user changed their mind."""

    def __init__(self, choice: SegmentChoice, news: News) -> None:
        self.askForFile: Callable[[str], str] = _askForFile
        self._choice = choice
        self._news = news

    def start(self) -> None:
        """Export what is approved, and offer the rest."""
        node = self._choice.segmentationNode
        if node is None or self._choice.volumeNode is None:
            self._news.say(_("There is no lesion to export yet."), isError=True)
            return
        approved = approvedIds(node)
        if approved:
            self._export(approved)
        else:
            text = _("No lesion is approved yet. Approve those that are right, or export all of them as they are.")
            self._news.say(text, isError=True, remedy=self._all())

    def _all(self) -> Remedy:
        ids = self._choice.segmentationNode.GetSegmentation().GetSegmentIDs()
        return Remedy(_("Export all {count} lesions").format(count=len(ids)), lambda: self._export(list(ids)))

    def _export(self, ids: Sequence[str]) -> None:
        node = self._choice.segmentationNode
        path = self.askForFile(f"{node.GetName()}{SEGMENTATION}")
        if not path:
            return
        try:
            exportSegments(self._choice.volumeNode, node, ids, path)
        except CannotExport as reason:
            self._news.say(str(reason), isError=True)
            return
        rest = node.GetSegmentation().GetNumberOfSegments() - len(ids)
        text = _("{count} lesions were written to {path}.").format(count=len(ids), path=path)
        if rest:
            text = _("{text} {rest} that are not approved were left out.").format(text=text, rest=rest)
        self._news.say(text, remedy=self._all() if rest else None)


def _askForFile(name: str) -> str:
    filters = _("Segmentation (*{segmentation});;Labelmap (*{labelmap})")
    answer = qt.QFileDialog.getSaveFileName(
        slicer.util.mainWindow(),
        _("Export lesions"),
        str(Path.home() / name),
        filters.format(segmentation=SEGMENTATION, labelmap=LABELMAP),
    )
    # PythonQt answers with the path alone.
    return answer if isinstance(answer, str) else answer[0]
