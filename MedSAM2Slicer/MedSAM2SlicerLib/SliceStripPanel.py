"""The panel's part for correcting and trusting: the slice strip, locks, approval, and export of what was approved."""

from __future__ import annotations

import numpy as np
import slicer
from slicer.i18n import tr as _

from medsam2_protocol.prompts import AXES, axis_ijk
from MedSAM2SlicerLib.AskedPrompts import bySlice, digests
from MedSAM2SlicerLib.Geometry import VolumeFrame
from MedSAM2SlicerLib.SegmentSlices import stampOf
from MedSAM2SlicerLib.SegmentTags import SLICES_TAG, tagOf
from MedSAM2SlicerLib.Sentences import sliceName
from MedSAM2SlicerLib.ShownSlices import ShownSlices
from MedSAM2SlicerLib.SliceStates import EDITED, KEY, LOCKED, NOTHING, PROPAGATED, PROVISIONAL
from MedSAM2SlicerLib.SliceStrip import SliceStrip
from MedSAM2SlicerLib.StripCells import Places, StripCell, cellsOf, placesOf
from MedSAM2SlicerLib.StripPicture import COLOURS, LETTERS


class SliceStripPanel:
    """`uiFile` is Resources/UI/SliceStripPanel.ui. `update` may be called as often as one likes."""

    def __init__(self, uiFile: str, controller) -> None:
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.strip = SliceStrip(self.ui.stripLabel)
        self._controller = controller
        self._shownSlices = ShownSlices(self.onShownSliceChanged)
        self._cells: tuple[StripCell, ...] = ()
        self._places: Places = {}
        self._known: tuple = ()
        self._connect()
        self.update()

    def enter(self) -> None:
        self._shownSlices.start()
        self.update()

    def exit(self) -> None:
        self._shownSlices.stop()

    def update(self) -> None:
        """While a run writes, the strip stays as it was."""
        controller, ui = self._controller, self.ui
        isFree, approval = not controller.isPropagating, controller.approval
        if isFree:
            self._readCells()
        self.widget.setVisible(bool(self._cells))
        ui.anewButton.setEnabled(controller.canPropagate)
        ui.nextButton.setEnabled(any(cell.isDoubtful or cell.isWaiting for cell in self._cells))
        for button in (ui.lockButton, ui.lockRangeButton, ui.approveButton):
            button.setEnabled(isFree)
        ui.approveButton.setChecked(approval.isApproved)
        ui.summaryLabel.text = self._summary()
        self.onShownSliceChanged()

    def onShownSliceChanged(self) -> None:
        shown = self._controller.approval.shown() if self._cells else None
        self.strip.show(self._cells, shown)

    def showNext(self) -> None:
        """The next slice to look at, from the one that is shown onwards and around the end."""
        found = [cell for cell in self._cells if cell.isDoubtful]
        if not found:
            self._controller.news.say(_("No slice stands out as doubtful. Look at the first and the last ones."))
            return
        shown = self._controller.approval.shown()
        cell = next((one for one in found if shown is None or one.index > shown), found[0])
        self.showSlice(cell.index)
        text = _("{slice} ({number} of {count} doubtful slices)")
        number = found.index(cell) + 1
        self._controller.news.say(text.format(slice=self._toolTip(cell), number=number, count=len(found)))

    def showSlice(self, index: int) -> None:
        """Let the views go to the object on that slice, or to where it was last seen."""
        axis, choice = self._controller.approval.axis(), self._controller.choice
        if not axis or choice.volumeNode is None:
            return
        world = VolumeFrame(choice.volumeNode).worldFromIjk(np.array([self._position(axis, index)]))[0]
        slicer.modules.markups.logic().JumpSlicesToLocation(*[float(value) for value in world], False)

    def onApproveToggled(self, isChecked: bool) -> None:
        approval = self._controller.approval
        if isChecked != approval.isApproved:
            if isChecked:
                approval.approve()
            else:
                approval.withdraw()
            self.update()

    def _connect(self) -> None:
        ui, controller = self.ui, self._controller
        self.strip.onClicked = self.showSlice
        self.strip.toolTipOf = self._toolTip
        ui.legendLabel.text = _legend()
        ui.nextButton.connect("clicked()", self.showNext)
        ui.lockButton.connect("clicked()", controller.approval.toggleLock)
        ui.lockRangeButton.connect("clicked()", controller.approval.lockRange)
        ui.anewButton.connect("clicked()", controller.propagateAnew)
        ui.exportButton.connect("clicked()", controller.exporting.start)
        ui.approveButton.connect("toggled(bool)", self.onApproveToggled)

    def _readCells(self) -> None:
        """Only if something has changed since the last time."""
        controller, place = self._controller, self._controller.choice.place()
        axis = controller.approval.axis()
        if place is None or not axis:
            self._cells, self._places, self._known = (), {}, ()
            return
        prompted = digests(bySlice(controller.choice.promptsAlong(axis), axis))
        stamp = stampOf(place.segmentationNode, place.segmentId)
        known = (place.segmentId, stamp, tagOf(place.segment, SLICES_TAG), tuple(prompted.items()), axis)
        if known == self._known:
            return
        if self._known[:2] != known[:2] or self._known[4:] != known[4:]:
            self._places = placesOf(place.masks(), axis)
        self._known = known
        count = place.volumeNode.GetImageData().GetDimensions()[axis_ijk(axis)]
        self._cells = cellsOf(place.now(), prompted, self._places, count)

    def _position(self, axis: str, index: int) -> list[float]:
        """IJK of the object's centre on the slice, or on the slice nearest to it."""
        shape = self._controller.choice.volumeNode.GetImageData().GetDimensions()
        across = [(size - 1) / 2 for letter, size in zip(AXES, shape) if letter != axis]
        if self._places:
            nearest = min(self._places, key=lambda other: abs(other - index))
            row, column = self._places[nearest][1]
            across = [column, row]
        across.insert(axis_ijk(axis), float(index))
        return across

    def _toolTip(self, cell: StripCell) -> str:
        place, axis = self._controller.choice.place(), self._controller.approval.axis()
        if place is None or not axis:
            return ""
        spacing = [size for letter, size in zip(AXES, place.volumeNode.GetSpacing()) if letter != axis]
        parts = [stateTitle(cell.state), _("{area:.0f} mm²").format(area=cell.area * spacing[0] * spacing[1])]
        if cell.isWaiting:
            parts.append(_("a correction waits for Space"))
        elif cell.confidence is not None:
            parts.append(_("{word} ({percent} %)").format(word=_sureness(cell), percent=round(100 * cell.confidence)))
        return _("Slice {slice}: {parts}").format(slice=sliceName(axis, cell.index), parts=", ".join(parts))

    def _summary(self) -> str:
        states = [cell.state for cell in self._cells]
        doubts = sum(cell.isDoubtful for cell in self._cells)
        waits = [cell.index for cell in self._cells if cell.isWaiting]
        if waits:
            text = _("{count} slices wait for Space to pass a correction on.")
            return text.format(count=len(waits))
        text = _("{first} to {last}. Slices to look at: {doubtful}, locked: {locked}, edited by hand: {edited}.")
        axis, indices = self._controller.approval.axis(), [cell.index for cell in self._cells] or [0]
        ends = {"first": sliceName(axis, indices[0]), "last": sliceName(axis, indices[-1])}
        return text.format(doubtful=doubts, locked=states.count(LOCKED), edited=states.count(EDITED), **ends)


def stateTitle(state: str) -> str:
    return {
        NOTHING: _("empty"),
        PROPAGATED: _("propagated"),
        PROVISIONAL: _("looked at roughly"),
        KEY: _("prompted"),
        EDITED: _("edited by hand"),
        LOCKED: _("locked"),
    }[state]


def _sureness(cell: StripCell) -> str:
    if cell.isDoubtful:
        return _("doubtful")
    return _("sure") if cell.confidence >= 0.8 else _("fairly sure")


def _legend() -> str:
    square = '<span style="color:{};">■</span> {}'
    entries = [
        square.format(COLOURS[state], f"{LETTERS[state]} {stateTitle(state)}".strip())
        for state in (PROPAGATED, PROVISIONAL, KEY, EDITED, LOCKED)
    ]
    entries.append(_("? to look at"))
    return "&nbsp; ".join("<nobr>" + entry + "</nobr>" for entry in entries)
