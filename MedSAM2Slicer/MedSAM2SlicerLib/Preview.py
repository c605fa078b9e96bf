"""The mask of one slice that is shown in the segment, with a look of its own, until it is propagated or discarded."""

from __future__ import annotations

from typing import Optional

from medsam2_protocol.messages import MaskChanged
from MedSAM2SlicerLib.PreviewLook import PreviewLook


class Preview:
    """`promptNode` is the prompt it is for, `mask` what came. Whoever owns the writer puts it into the segment."""

    def __init__(self) -> None:
        self.promptNode = None
        self.mask: Optional[MaskChanged] = None
        self._look: Optional[PreviewLook] = None

    @property
    def isThere(self) -> bool:
        return self.mask is not None

    def show(self, writer) -> None:
        """The segment looks like a preview from now on, if there is something to see."""
        self.hide()
        if self.mask is not None and not self.mask.region.is_empty:
            self._look = PreviewLook(writer.segmentationNode, writer.segmentId, writer.volumeNode, self.mask)
            self._look.show()

    def hide(self) -> None:
        """The segment looks as before; the preview is known still."""
        look, self._look = self._look, None
        if look is not None:
            look.hide()

    def forget(self) -> None:
        """Also where the scene is gone, or a successor will put back what is in it."""
        look, self._look = self._look, None
        if look is not None:
            look.hideLabel()
        self.promptNode = self.mask = None
