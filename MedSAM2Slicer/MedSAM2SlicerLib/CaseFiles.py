"""A volume and lesions on its voxels as NRRD files, piece by piece, so that nobody has to wait for them.

The volume is written as it is, in its own frame; the lesions in Slicer's segmentation format, on the volume's voxels
wherever transforms have put either of them. Lesions that overlap lie on layers of their own.

Format: https://slicer.readthedocs.io/en/latest/developer_guide/modules/segmentations.html and teem's NRRD0004.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from MedSAM2SlicerLib.SegmentSlices import Start

PIECE_BYTES = 1024 * 1024
COMPRESSION = 3
_TYPES = {
    "int8": "int8",
    "uint8": "uint8",
    "int16": "int16",
    "uint16": "uint16",
    "int32": "int32",
    "uint32": "uint32",
    "int64": "int64",
    "uint64": "uint64",
    "float32": "float",
    "float64": "double",
}


@dataclass(frozen=True)
class Drawn:
    """A lesion: `start` is the first voxel of the box around it, `voxels` the box, both KJI; nothing beside is set."""

    name: str
    color: tuple[float, float, float]
    start: Start
    voxels: np.ndarray

    @property
    def stop(self) -> Start:
        return tuple(first + size for first, size in zip(self.start, self.voxels.shape))


def volumePieces(voxels_kji: np.ndarray, ijk_to_ras: np.ndarray) -> Iterator[bytes]:
    """The bytes of a .nrrd file."""
    dtype = voxels_kji.dtype.newbyteorder("<")
    yield _text(_geometry(_TYPES[voxels_kji.dtype.name], voxels_kji.shape, 0, ijk_to_ras, "raw"))
    for slab in voxels_kji:
        data = memoryview(np.ascontiguousarray(slab, dtype).reshape(-1)).cast("B")
        for first in range(0, len(data), PIECE_BYTES):
            yield bytes(data[first : first + PIECE_BYTES])


def lesionPieces(lesions: Sequence[Drawn], shape_kji: Start, ijk_to_ras: np.ndarray) -> Iterator[bytes]:
    """The bytes of a .seg.nrrd file."""
    layers = _layers(lesions)
    count = len(layers)
    header = _geometry("uint8", shape_kji, count if count > 1 else 0, ijk_to_ras, "gzip")
    yield _text([*header, *_segments(layers), *_SEGMENTATION])
    compressor = zlib.compressobj(COMPRESSION, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for k in range(shape_kji[0]):
        slab = np.zeros((*shape_kji[1:], count), np.uint8)
        for number, layer in enumerate(layers):
            for label, lesion in enumerate(layer, 1):
                _put(slab[..., number], lesion, k, label)
        yield compressor.compress(slab.tobytes())
    yield compressor.flush()


def _layers(lesions: Sequence[Drawn]) -> list[list[Drawn]]:
    """As few layers as it takes for no two lesions of one to share a voxel."""
    layers: list[list[Drawn]] = []
    for lesion in lesions:
        free = next((one for one in layers if not any(_overlap(lesion, other) for other in one)), None)
        if free is None:
            layers.append([lesion])
        else:
            free.append(lesion)
    return layers


def _overlap(one: Drawn, other: Drawn) -> bool:
    low = [max(pair) for pair in zip(one.start, other.start)]
    high = [min(pair) for pair in zip(one.stop, other.stop)]
    if any(first >= last for first, last in zip(low, high)):
        return False
    parts = [
        lesion.voxels[tuple(slice(a - start, b - start) for a, b, start in zip(low, high, lesion.start))]
        for lesion in (one, other)
    ]
    return bool((parts[0] & parts[1]).any())


def _put(slice_ji: np.ndarray, lesion: Drawn, k: int, label: int) -> None:
    if lesion.start[0] <= k < lesion.stop[0]:
        (_k, j, i), (_stopK, stopJ, stopI) = lesion.start, lesion.stop
        slice_ji[j:stopJ, i:stopI][lesion.voxels[k - lesion.start[0]]] = label


def _geometry(kind: str, shape_kji: Start, layers: int, ijk_to_ras: np.ndarray, encoding: str) -> Iterator[str]:
    sizes = [*([layers] if layers else []), *reversed(shape_kji)]
    ijk_to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ijk_to_ras
    directions = [f"({_numbers(column)})" for column in ijk_to_lps[:3, :3].T]
    yield f"type: {kind}"
    yield f"dimension: {len(sizes)}"
    yield "space: left-posterior-superior"  # as Slicer writes it
    yield "sizes: " + " ".join(str(size) for size in sizes)
    yield "space directions: " + " ".join([*(["none"] if layers else []), *directions])
    yield "kinds: " + " ".join([*(["list"] if layers else []), "domain", "domain", "domain"])
    yield "endian: little"
    yield f"encoding: {encoding}"
    yield f"space origin: ({_numbers(ijk_to_lps[:3, 3])})"


def _segments(layers: Sequence[Sequence[Drawn]]) -> Iterator[str]:
    number = 0
    for layer, lesions in enumerate(layers):
        for label, lesion in enumerate(lesions, 1):
            extent = [bound for first, last in zip(lesion.start, lesion.stop) for bound in (first, last - 1)]
            for key, value in {
                "ID": f"Segment_{number + 1}",
                "Name": lesion.name.replace("\\", "\\\\").replace("\n", "\\n"),
                "Color": " ".join(repr(float(part)) for part in lesion.color),
                "LabelValue": str(label),
                "Layer": str(layer),
                "Extent": " ".join(str(bound) for bound in (*extent[4:], *extent[2:4], *extent[:2])),
            }.items():
                yield f"Segment{number}_{key}:={value}"
            number += 1


_SEGMENTATION = (
    "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
    "Segmentation_MasterRepresentation:=Binary labelmap",
    "Segmentation_ReferenceImageExtentOffset:=0 0 0",
)


def _text(lines) -> bytes:
    return ("NRRD0004\n" + "\n".join(lines) + "\n\n").encode("utf-8")


def _numbers(values) -> str:
    return ",".join(repr(float(value)) for value in values)
