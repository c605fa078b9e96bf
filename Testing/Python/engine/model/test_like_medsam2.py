"""`--like medsam2` against a straightforward rewriting of what MedSAM2's driver does, with transformers as predictor.

The driver's steps are written down here a second time, with Pillow, scipy and transformers' own inference session:
nothing is shared with the engine but the weights.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import Device
from medsam2_engine.errors import BadRequest
from medsam2_engine.framing import ObjectFraming, WholeSliceFraming
from medsam2_engine.like_medsam2 import EightBitFrames, MedSam2Driver, eight_bit
from medsam2_engine.model.config import Sam2Config
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import BoxPrompt, PointPrompt, SegmentPrompts
from phantoms import a_phantom

pytest.importorskip("transformers", reason="transformers is the reference")
Image = pytest.importorskip("PIL.Image", reason="the driver resizes with Pillow")
ndimage = pytest.importorskip("scipy.ndimage", reason="the driver keeps the largest component")

WINDOW = Window(40.0, 160.0)
KEY = 4
BOX = (20, 10, 44, 32)


@pytest.fixture(scope="module")
def volume():
    return a_phantom(shape_kji=(10, 48, 56), center_kji=(4.0, 21.0, 33.0), radii_kji=(5.0, 8.0, 11.0)).volume


@pytest.fixture(scope="module")
def pair(make_pair):
    """The network of MedSAM2 at half its size."""
    return make_pair(Sam2Config.hiera_tiny(256))


@pytest.fixture
def driver(volume, pair):
    return MedSam2Driver(volume, backend_of(pair))


@pytest.fixture(scope="module")
def segment():
    return SegmentPrompts("s1", (BoxPrompt("K", KEY, BOX[:2], BOX[2:]),))


@pytest.fixture(scope="module")
def results(volume, pair, segment):
    """All that the whole volume gave."""
    with torch.inference_mode():
        return list(MedSam2Driver(volume, backend_of(pair)).propagate([segment], "K", window=WINDOW))


def backend_of(pair):
    # The module as it is: the reference is compared with this arithmetic, not with a faster one.
    return Sam2Backend("seeded", pair.ours, WholeSliceFraming(pair.config.image_size), Device("cpu", "CPU"))


def as_the_driver_prepares_it(volume, size):
    """8 bits, three channels, Pillow's default filter, ImageNet's mean and deviation: (slices, 3, S, S)."""
    values = np.clip(volume.voxels_kji.astype(np.float64), WINDOW.lower, WINDOW.upper)
    grey = np.uint8((values - values.min()) / (values.max() - values.min()) * 255.0)
    resized = [np.array(Image.fromarray(one).convert("RGB").resize((size, size))) for one in grey]
    pixels = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255
    mean, deviation = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    return (pixels - mean[:, None, None]) / deviation[:, None, None]


def as_the_driver_segments_it(pair, volume):
    """Box, forward, reset, box, backward, largest component."""
    count, rows, columns = volume.shape_kji
    size = pair.config.image_size
    pair = replace(pair, frames=as_the_driver_prepares_it(volume, size))
    x0, y0, x1, y1 = BOX
    box = pair.points((x0 / columns, y0 / rows), (x1 / columns, y1 / rows), labels=(2, 3))
    found = np.zeros(volume.shape_kji, bool)
    for path in (range(KEY + 1, count), range(KEY - 1, -1, -1)):
        session = pair.their_session()
        session.prompt(KEY, box)
        session.follow(path)
        for frame in (KEY, *path):
            logits = F.interpolate(session.logits(frame)[None, None], (rows, columns), mode="bilinear")
            found[frame] |= logits[0, 0].numpy() > 0
    labels, _ = ndimage.label(found, structure=np.ones((3, 3, 3)))
    return labels == np.argmax(np.bincount(labels.flat)[1:]) + 1


def test_slices_are_prepared_to_within_two_grey_levels(volume):
    reference = as_the_driver_prepares_it(volume, 256)
    frames = EightBitFrames(eight_bit(volume, "K", WINDOW), 256)
    ours = torch.cat([frames.pixels(index) for index in range(len(reference))])
    levels = (ours - reference).abs() * torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1) * 255
    assert float(levels.max()) < 2.01
    assert float((levels > 0.5).float().mean()) < 0.01


def test_the_masks_are_those_of_the_driver(results, volume, pair):
    reference = as_the_driver_segments_it(pair, volume)
    ours = np.zeros(volume.shape_kji, bool)
    for result in results:
        ours[result.slice] = result.mask
    assert reference.any()
    assert float((ours == reference).mean()) >= 0.999


def test_every_slice_is_visited_both_ways_and_the_first_one_twice(results):
    assert [result.slice for result in results[:11]] == [4, 5, 6, 7, 8, 9, 4, 3, 2, 1, 0]


def test_a_slice_without_the_object_is_empty_and_following_goes_on(volume, pair, segment):
    absent = pair.with_absent_object()
    results = list(MedSam2Driver(volume, backend_of(absent)).propagate([segment], "K", (3, 6), WINDOW))
    assert {result.slice for result in results} == {3, 4, 5, 6}
    assert not any(result.mask.any() for result in results)


def test_a_range_is_the_file_that_the_driver_would_have_been_given(driver, segment):
    results = list(driver.propagate([segment], "K", (3, 5), WINDOW))
    assert {result.slice for result in results} == {3, 4, 5}


def test_a_cancelled_run_ends_between_two_slices(driver, segment):
    results = driver.propagate([segment], "K", window=WINDOW, is_cancelled=lambda: True)
    assert [result.slice for result in results] == [4]


def test_only_a_box_is_taken(driver):
    point = SegmentPrompts("s1", (PointPrompt((30.0, 20.0, 4.0), True),))
    with pytest.raises(BadRequest, match="one box a segment"):
        list(driver.propagate([point], "K"))


def test_a_model_that_sees_crops_cannot_be_driven_so(volume, pair):
    backend = Sam2Backend("seeded", pair.ours, ObjectFraming(256), Device("cpu", "CPU"))
    with pytest.raises(BadRequest, match="whole slices"):
        MedSam2Driver(volume, backend)
