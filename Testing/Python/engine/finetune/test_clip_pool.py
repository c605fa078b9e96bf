from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medsam2_engine.errors import BadRequest
from medsam2_engine.finetune.clip_pool import ClipPool, write_shard
from medsam2_engine.finetune.clips import Clip


def test_a_clip_comes_back_as_it_was_but_for_rounding(tmp_path: Path, a_clip: Clip) -> None:
    write_shard(tmp_path / "a.clips", [a_clip])
    back = ClipPool(tmp_path).clip(0)
    span = float(np.ptp(a_clip.images))
    np.testing.assert_allclose(back.images, a_clip.images, atol=span / 255)
    np.testing.assert_array_equal(back.masks, a_clip.masks)
    assert (back.spacing_xy, back.modality, back.kind) == (a_clip.spacing_xy, a_clip.modality, a_clip.kind)


def test_hounsfield_units_keep_their_meaning(tmp_path: Path, a_clip: Clip) -> None:
    ct = replace(a_clip, images=(a_clip.images * 2000 - 1000).astype(np.float32), modality="CT")
    write_shard(tmp_path / "a.clips", [ct])
    np.testing.assert_allclose(ClipPool(tmp_path).clip(0).images, ct.images, atol=0.2)


def test_shards_are_read_in_the_order_of_their_names(tmp_path: Path, a_clip: Clip) -> None:
    for name, value in (("b", 2.0), ("a", 1.0)):
        write_shard(tmp_path / f"{name}.clips", [replace(a_clip, images=np.full_like(a_clip.images, value))])
    pool = ClipPool(tmp_path)
    assert [pool.clip(n).images.max() for n in range(len(pool))] == [1.0, 2.0]


def test_an_empty_pool_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no clips yet"):
        ClipPool(tmp_path)
