"""Clips made beforehand and kept on disk, for trainings that see many: making one costs as much as learning from it.

A pool is a folder of shards, each a .npz of raw bytes: images as 8 bits between the clip's own least and greatest value
(16 bits for CT, whose units matter), masks as packed bits. Shards are whole or not there.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medsam2_engine.atomic_file import replacing
from medsam2_engine.errors import BadRequest
from medsam2_engine.finetune.clips import Clip


def write_shard(path: Path, clips: Sequence[Clip]) -> None:
    """One file with these clips."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for number, clip in enumerate(clips):
            file.writestr(f"{number}", _packed(clip))


class ClipPool:
    """The clips of all shards in some folders, packed in memory; drawn with equal chance."""

    def __init__(self, *folders: Path) -> None:
        """
        Raises:
            BadRequest: a folder holds none.
        """
        self._packed: list[bytes] = []
        for folder in folders:
            shards = sorted(folder.glob("[!.]*.clips"))
            if not shards:
                raise BadRequest(f"{folder} holds no clips yet. Make them first.")
            for path in shards:
                with zipfile.ZipFile(path) as file:
                    self._packed += [file.read(name) for name in sorted(file.namelist(), key=int)]

    def __len__(self) -> int:
        return len(self._packed)

    def draw(self, rng: np.random.Generator) -> Clip:
        return self.clip(int(rng.integers(len(self._packed))))

    def clip(self, number: int) -> Clip:
        return _unpacked(self._packed[number])


def _packed(clip: Clip) -> bytes:
    low, high = float(clip.images.min()), float(clip.images.max())
    kind, top = (np.uint16, 65535) if clip.modality == "CT" else (np.uint8, 255)
    scale = (high - low) / top or 1.0
    head = {
        "shape": clip.images.shape,
        "low": low,
        "scale": scale,
        "dtype": np.dtype(kind).str,
        "spacing_xy": clip.spacing_xy,
        "modality": clip.modality,
        "kind": clip.kind,
    }
    out = io.BytesIO()
    out.write(json.dumps(head).encode() + b"\n")
    out.write(np.rint((clip.images - low) / scale).astype(kind).tobytes())
    out.write(np.packbits(clip.masks.reshape(-1)).tobytes())
    return out.getvalue()


def _unpacked(data: bytes) -> Clip:
    line, rest = data.split(b"\n", 1)
    head = json.loads(line)
    shape, dtype = tuple(head["shape"]), np.dtype(head["dtype"])
    count = int(np.prod(shape))
    values = np.frombuffer(rest, dtype, count).reshape(shape)
    bits = np.unpackbits(np.frombuffer(rest, np.uint8, offset=count * dtype.itemsize), count=count)
    images = (values * np.float32(head["scale"]) + np.float32(head["low"])).astype(np.float32)
    x, y = head["spacing_xy"]
    return Clip(images, bits.reshape(shape).astype(bool), (x, y), head["modality"], head["kind"])
