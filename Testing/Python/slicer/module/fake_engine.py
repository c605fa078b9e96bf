"""A worker without a model: the protocol on stdin and stdout, and every way in which a worker can misbehave.

The mask is what is brighter than half of the brightest voxel: on the prompts' slices and three to each side, inside the
box or lasso if there is one, within a mask if there is one, without a disc around each negative point and each vertex
of a negative scribble. A slice without a prompt takes those of the nearest one.
FAKE_ENGINE_MODE picks the behaviour of the first start, FAKE_ENGINE_LATER of all others (told by a file that
FAKE_ENGINE_STARTS names): normal, slow, crash, hang, deaf (hangs on Cancel only), failed, garbage, protocol, silent
(never says hello), broken (ends at once), empty (finds nothing), late (a mask of another volume before its own), memory
(there is enough for the embedded model only), full (there is not enough for any), patient (a propagation waits for its
Cancel after two slices).
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import time

import numpy as np

from medsam2_engine.memory_advice import too_little_memory
from medsam2_protocol.masks import EMPTY_REGION, region_of_slice
from medsam2_protocol.messages import (
    PROTOCOL,
    Cancel,
    Cancelled,
    CloseVolume,
    DeviceInfo,
    Done,
    Failed,
    Hello,
    MaskChanged,
    Message,
    ModelInfo,
    OpenVolume,
    Ping,
    Pong,
    Predict,
    Prefetch,
    Progress,
    Propagate,
)
from medsam2_protocol.prompts import BoxPrompt, LassoPrompt, MaskPrompt, ScribblePrompt, axis_kji, slice_of_prompt
from medsam2_protocol.strokes import lasso_interior
from medsam2_protocol.tagged import from_json, to_json

REACH = 3
DISC = 3
SLOW_S = 0.15


class FakeEngine:
    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.volumes = {}
        self.cancelled = set()
        self.work: queue.Queue = queue.Queue()
        self.out = os.fdopen(os.dup(1), "w", buffering=1)
        self.lock = threading.Lock()

    def run(self) -> None:
        if self.mode == "broken":
            sys.exit("ImportError: there is no torch here")
        if self.mode == "silent":
            time.sleep(60)
        self.hello()
        threading.Thread(target=self.read, daemon=True).start()
        while True:
            self.handle(self.work.get())

    def hello(self) -> None:
        hello = Hello(
            PROTOCOL + (self.mode == "protocol"),
            "fake",
            self.models(),
            ("box", "point", "scribble", "lasso", "mask"),
            (DeviceInfo("auto", "Automatic: CPU", ""), DeviceInfo("cpu", "CPU", "")),
            os.getpid(),
        )
        self.say(hello)

    def models(self) -> tuple:
        sizes = {"embedded": 8, "small": 100, "large": 900, "medium": 300} if self.mode == "memory" else {"embedded": 8}
        titles = {"embedded": "Fake model"}
        return tuple(
            ModelInfo(name, titles.get(name, f"{name.capitalize()} model"), "For tests", "none", name != "small", size)
            for name, size in sizes.items()
        )

    def read(self) -> None:
        for line in sys.stdin:
            message = from_json(line, Message)
            if isinstance(message, Ping):
                if self.mode != "hang" or not self.volumes:
                    self.say(Pong(message.number))
            elif isinstance(message, Cancel):
                self.cancelled.add(message.request_id)
            else:
                self.work.put(message)
        os._exit(0)

    def handle(self, request) -> None:
        if isinstance(request, OpenVolume):
            shape = tuple(request.shape_kji)
            voxels = np.fromfile(request.path, request.dtype).reshape(shape)
            self.volumes = {request.volume_id: voxels}
            self.say(Done(request.id, 0.0))
        elif isinstance(request, CloseVolume):
            self.volumes.pop(request.volume_id, None)
            self.say(Done(request.id, 0.0))
        elif isinstance(request, Prefetch):
            self.say(Done(request.id, 0.0))
        elif isinstance(request, Predict):
            self.segment(request, request.segment, [request.slice])
        elif isinstance(request, Propagate):
            self.segment(request, request.segments[0], self.slices(request))

    def slices(self, request: Propagate) -> list:
        segment = request.segments[0]
        kept = {mask.slice for mask in segment.kept}
        given = sorted({slice_of_prompt(prompt, request.axis) for prompt in segment.prompts} | kept)
        starts = given if request.corrected is None else [request.corrected]
        size = self.volumes[request.volume_id].shape[axis_kji(request.axis)]
        low = min(starts) - (0 if request.direction == "up" else REACH)
        high = max(starts) + (0 if request.direction == "down" else REACH)
        if request.corrected is not None:
            low = max([low, *(index + 1 for index in given if index < request.corrected)])
            high = min([high, *(index - 1 for index in given if index > request.corrected)])
        if request.first is not None:
            low, high = max(low, request.first), min(high, request.last)
        return [index for index in range(low, high + 1) if 0 <= index < size and index not in kept]

    def segment(self, request, segment, slices: list) -> None:
        if request.volume_id not in self.volumes:
            self.say(Failed(request.id, "no_such_volume", f"There is no volume {request.volume_id}."))
            return
        if self.mode == "full" or (self.mode == "memory" and request.model != "embedded"):
            self.say_out_of_memory(request)
            return
        if getattr(request, "progressive", False):
            self.show_roughly(request, segment, slices)
        for done, index in enumerate(slices):
            if request.id in self.cancelled and self.mode != "deaf":
                self.say(Cancelled(request.id))
                return
            self.misbehave(request, done)
            region = self.mask(request, segment, index)
            if self.mode == "late":
                self.say(MaskChanged(request.id, "another", segment.segment_id, request.axis, 0, region, 1.0, 1.0))
            self.say(
                MaskChanged(request.id, request.volume_id, segment.segment_id, request.axis, index, region, 1.0, 1.0)
            )
            self.say(Progress(request.id, done + 1, len(slices), ""))
        if not (request.id in self.cancelled and self.mode == "deaf"):
            self.say(Done(request.id, 0.5, len(slices), len(slices), "cpu"))

    def show_roughly(self, request, segment, slices: list) -> None:
        """A first look, which holds the slice's first voxel too. Prompted slices are answered as they will be."""
        axis = axis_kji(request.axis)
        given = {slice_of_prompt(prompt, request.axis) for prompt in segment.prompts}
        for index in slices:
            plane = np.take(self.volumes[request.volume_id], index, axis)
            rough = plane > plane.max() / 2
            rough[0, 0] = index not in given
            region = region_of_slice(rough, axis, index)
            where = (request.volume_id, segment.segment_id, request.axis, index)
            self.say(MaskChanged(request.id, *where, region, 1.0, 1.0, provisional=index not in given))

    def misbehave(self, request, done: int) -> None:
        isPropagation = isinstance(request, Propagate)
        if self.mode in ("slow", "deaf"):
            time.sleep(SLOW_S if isPropagation else 0)
        if not isPropagation or done < 2:
            return
        if self.mode == "crash":
            os.kill(os.getpid(), 9)
        while self.mode == "patient" and request.id not in self.cancelled:
            time.sleep(0.01)
        if self.mode == "hang":
            time.sleep(60)
        if self.mode == "garbage":
            self.out.write("Traceback (most recent call last)\n")
        if self.mode == "failed":
            self.say_out_of_memory(request)
            self.handle(self.work.get())

    def say_out_of_memory(self, request) -> None:
        """In the engine's own words; there is a GPU where one asks for it."""
        sentence = too_little_memory(request.model, request.device == "cuda")
        self.say(Failed(request.id, "out_of_memory", sentence))

    def mask(self, request, segment, index: int):
        if self.mode == "empty":
            return EMPTY_REGION
        axis = axis_kji(request.axis)
        plane = np.take(self.volumes[request.volume_id], index, axis)
        inside = plane > plane.max() / 2
        for prompt in prompts_near(segment.prompts, request.axis, index):
            inside &= allowed_by(prompt, request.axis, plane.shape)
        return region_of_slice(inside, axis, index)

    def say(self, message) -> None:
        with self.lock:
            self.out.write(to_json(message) + "\n")


def prompts_near(prompts, axis: str, index: int) -> list:
    if not prompts:
        return []
    nearest = min((slice_of_prompt(prompt, axis) for prompt in prompts), key=lambda other: abs(other - index))
    return [prompt for prompt in prompts if slice_of_prompt(prompt, axis) == nearest]


def allowed_by(prompt, axis: str, shape) -> np.ndarray:
    """The plane is what is left of KJI, a prompt's coordinates are what is left of IJK: the other way round."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    if isinstance(prompt, BoxPrompt):
        (x0, y0), (x1, y1) = prompt.min, prompt.max
        return (x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)
    if isinstance(prompt, LassoPrompt):
        return lasso_interior(prompt.path, shape)
    if isinstance(prompt, MaskPrompt):
        whole = np.zeros(np.insert(shape, axis_kji(axis), prompt.slice + 1), bool)
        prompt.region.paste_into(whole)
        return np.take(whole, prompt.slice, axis_kji(axis))
    if isinstance(prompt, ScribblePrompt):
        discs = [(x - px) ** 2 + (y - py) ** 2 > DISC**2 for px, py in prompt.path]
        return prompt.positive | np.logical_and.reduce(discs)
    px, py = (value for letter, value in zip("IJK", prompt.ijk, strict=True) if letter != axis)
    return prompt.positive | ((x - px) ** 2 + (y - py) ** 2 > DISC**2)


def chosen_mode() -> str:
    mode = os.environ.get("FAKE_ENGINE_MODE", "normal")
    starts = os.environ.get("FAKE_ENGINE_STARTS", "")
    if not starts:
        return mode
    with open(starts, "a+") as file:
        file.write(f"{os.getpid()}\n")
        file.seek(0)
        isFirst = len(file.readlines()) == 1
    return mode if isFirst else os.environ.get("FAKE_ENGINE_LATER", "normal")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-pid", type=int)
    parser.parse_args()
    FakeEngine(chosen_mode()).run()
