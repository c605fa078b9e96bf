"""Which framings show a model one grey image three times."""

from __future__ import annotations

from medsam2_engine.framing import Framing, WholeSliceFraming
from medsam2_engine.model.fast.grey import Grey
from medsam2_engine.whole_slice import IMAGENET, PlainSliceFraming


def grey_of(framing: Framing) -> Grey | None:
    """How the framing normalises three equal channels; None where channels differ before that.

    Padded slices are none: their padding is zero in all channels, after normalisation, and thus no grey.
    """
    if isinstance(framing, WholeSliceFraming):
        return Grey(*IMAGENET)
    if isinstance(framing, PlainSliceFraming) and not framing.is_padded:
        return Grey(framing.mean, framing.deviation)
    return None
