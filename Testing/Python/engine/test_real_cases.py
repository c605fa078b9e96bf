"""A guard on real patients: a box on the largest slice, the range unknown, and the Dice that must not be lost.

The data are no part of the repository: MEDSAM2_TEST_DATA names their folder, or it is ../shared/data/dev.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from medsam2_engine.backends.base import Backend
from medsam2_engine.session import Session
from medsam2_engine.volume import read_volume
from medsam2_protocol.prompts import SegmentPrompts
from phantoms import Phantom, dice

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("MEDSAM2_TEST_DATA") or ROOT.parent / "shared" / "data" / "dev")
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"there are no patients in {DATA}; set MEDSAM2_TEST_DATA")


# Dice when this was written, less about a tenth: a guard against losing what works, not a claim.
FLOORS = {
    "dev_ct_lesion_000002_035": 0.70,
    "dev_ct_lesion_000009_036": 0.75,
    "dev_ct_lesion_000015_081": 0.65,
    "dev_pet_sts002": 0.62,
    "dev_pet_sts015": 0.75,
    "dev_mr_sts002": 0.76,
    "dev_mr_sts024": 0.60,
}


def load(name: str) -> Phantom:
    """A patient with the first structure that was outlined."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not among the patients")
    (structure, *_) = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["structures"].values()
    labels = read_volume(folder / "label.nii.gz").voxels_kji
    return Phantom(read_volume(folder / "image.nii.gz"), labels == structure["label"])


def segmented(patient: Phantom, backend: Backend) -> np.ndarray:
    prompts = SegmentPrompts("s1", (patient.box("K", patient.largest_slice("K")),))
    mask = np.zeros(patient.truth_kji.shape, bool)
    for result in Session(patient.volume, backend).propagate([prompts], "K"):
        mask[result.slice] = result.mask
    return mask


@pytest.mark.parametrize(("name", "floor"), FLOORS.items(), ids=list(FLOORS))
def test_a_box_on_one_slice_finds_the_tumour(embedded: Backend, name: str, floor: float) -> None:
    patient = load(name)
    assert dice(segmented(patient, embedded), patient.truth_kji) > floor


@pytest.mark.parametrize("name", ["dev_pet_sts002", "dev_mr_sts002"])
def test_the_same_box_finds_the_same_voxels(embedded: Backend, name: str) -> None:
    patient = load(name)
    assert np.array_equal(segmented(patient, embedded), segmented(patient, embedded))
