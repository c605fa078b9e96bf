"""The checkpoint that is shipped, against transformers' own reading of it."""

from pathlib import Path

import pytest
import torch

from medsam2_engine.model.checkpoint import load_model

EMBEDDED = Path(__file__).parents[4] / "MedSAM2Slicer/Resources/Models/embedded"

transformers = pytest.importorskip("transformers", reason="transformers is the reference")
if not EMBEDDED.is_dir():
    pytest.skip("the embedded checkpoint is not in this checkout", allow_module_level=True)


@pytest.fixture(scope="module")
def embedded(pair_type, phantom_of):
    ours = load_model(EMBEDDED)
    theirs = transformers.Sam2VideoModel.from_pretrained(EMBEDDED, dtype=torch.float32).eval()
    return pair_type(ours, theirs, phantom_of(8, ours.config.image_size))


def test_its_half_precision_weights_become_float32(embedded):
    assert {parameter.dtype for parameter in embedded.ours.parameters()} == {torch.float32}


def test_its_masks_are_theirs_through_a_phantom(embedded):
    ours, theirs = embedded.our_session(), embedded.their_session()
    for session in (ours, theirs):
        session.prompt(0, embedded.box)
        session.follow(range(1, 8))
    for frame, mask in ours.masks.items():
        assert float((mask.gated_logits - theirs.logits(frame)).abs().max()) <= 1e-3
