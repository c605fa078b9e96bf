"""A volume may be longer than what can be kept of it: memory stays flat, and masks are the same."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import choose_device
from medsam2_engine.framing import WholeSliceFraming
from medsam2_engine.model.config import HieraConfig, Sam2Config
from medsam2_engine.session import Session
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import SegmentPrompts
from phantoms import a_phantom
from seeded_networks import seeded_model

SLICES, SIZE, SETTLED = 1000, 128, 250
KEPT = 16  # slices that fit into the budget
FRAME_BYTES = 4 * (8 * 32 * 32 + 16 * 16 * 16 + 64 * 8 * 8)  # features of one slice


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_a_thousand_slices_grow_by_much_less_than_their_features_each() -> None:
    """The aim is 1 MB for each slice beyond the budget; features that leaked would be 0.06 MB in this small network."""
    trunk = HieraConfig(dims=(16, 32, 64, 128), heads=(1, 1, 1, 1), blocks=(1, 1, 1, 1), global_blocks=())
    config = Sam2Config(image_size=SIZE, hidden=64, hiera=trunk, memory_layers=1, memory_feed_forward=128)
    backend = Sam2Backend("seeded", seeded_model(config), WholeSliceFraming(SIZE), choose_device("cpu"))
    phantom = a_phantom(
        shape_kji=(SLICES, 32, 32), center_kji=(SLICES / 2, 15.0, 16.0), radii_kji=(float(SLICES), 6.0, 7.0)
    )
    session = Session(phantom.volume, backend, feature_budget_bytes=KEPT * FRAME_BYTES)
    memory = []
    for _ in session.propagate([SegmentPrompts("s", (phantom.box("K", 0),))], "K", (0, SLICES - 1), Window(0.0, 255.0)):
        memory.append(resident_bytes())
    assert len(memory) == session.encoded == SLICES
    assert (memory[-1] - memory[SETTLED]) / (SLICES - SETTLED) < FRAME_BYTES / 4
