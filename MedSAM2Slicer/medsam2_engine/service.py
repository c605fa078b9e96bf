"""Serve the protocol over two byte streams. `worker.py` says which rules hold; this file keeps them."""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import torch

from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.load import load_backend
from medsam2_engine.device import has_gpu, list_devices, set_thread_policy
from medsam2_engine.errors import BadRequest, EngineError, NoSuchVolume, is_out_of_memory
from medsam2_engine.memory_advice import too_little_memory
from medsam2_engine.models import ModelEntry, all_models, is_installed, weights_bytes
from medsam2_engine.parent import exit_with_parent
from medsam2_engine.propagation import SliceMask
from medsam2_engine.session import Session
from medsam2_engine.stopping import Stopped
from medsam2_engine.version import VERSION
from medsam2_engine.volume import Volume, map_volume
from medsam2_protocol.masks import region_of_slice
from medsam2_protocol.messages import (
    PROTOCOL,
    Cancel,
    Cancelled,
    CloseVolume,
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
    Request,
)
from medsam2_protocol.prompts import axis_kji
from medsam2_protocol.tagged import MalformedMessage, from_json, to_json

logger = logging.getLogger(__name__)
PROMPT_TYPES = ("box", "point", "scribble", "lasso", "mask")


def serve(lines_in: BinaryIO, lines_out: BinaryIO, parent_pid: int | None) -> int:
    """Answer requests until `lines_in` ends; then the process exits."""
    set_thread_policy()
    if parent_pid is not None:
        exit_with_parent(parent_pid)
    writer = LineWriter(lines_out)
    inbox = Inbox(writer)
    writer.write(hello())
    threading.Thread(target=_read, args=(lines_in, inbox), daemon=True, name="reader").start()
    Desk(writer, inbox).work()
    return 0


def hello() -> Hello:
    """Who we are and what we can do."""
    return Hello(PROTOCOL, VERSION, tuple(map(_info, all_models())), PROMPT_TYPES, list_devices(), os.getpid())


class LineWriter:
    """Whole lines to the host, from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, message: Message) -> None:
        line = to_json(message).encode("utf-8") + b"\n"
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


class Inbox:
    """What the host has said: a queue of requests, and which of them it no longer wants."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer
        self._requests: queue.Queue[Request] = queue.Queue()
        self._cancelled: set[str] = set()

    def take(self, line: bytes) -> None:
        """One line from the host. A line that is no message is answered, and the worker lives on."""
        try:
            message = from_json(line, Message)
        except MalformedMessage as error:
            text = f"The engine does not understand the request: {error}."
            self._writer.write(Failed(_id_of(line), "bad_request", text))
            return
        if isinstance(message, Ping):
            self._writer.write(Pong(message.number))
        elif isinstance(message, Cancel):
            self._cancelled.add(message.request_id)
        elif isinstance(message, Request):
            self._requests.put(message)

    def next(self) -> Request:
        return self._requests.get()

    def is_waited_for(self) -> bool:
        """Whether another request has come meanwhile."""
        return not self._requests.empty()

    def is_cancelled(self, request_id: str) -> bool:
        return request_id in self._cancelled

    def forget(self, request_id: str) -> None:
        self._cancelled.discard(request_id)


class Desk:
    """Works on one request after the other. Every one gets exactly one end, whatever happens."""

    def __init__(self, writer: LineWriter, inbox: Inbox) -> None:
        self._writer = writer
        self._inbox = inbox
        self._volumes: dict[str, Volume] = {}
        self._backends: dict[tuple[str, str], Backend] = {}
        self._sessions: dict[tuple[str, str, str], Session] = {}

    def work(self) -> None:
        while True:
            request = self._inbox.next()
            self._writer.write(self.end_of(request))
            self._inbox.forget(request.id)

    def end_of(self, request: Request) -> Done | Failed | Cancelled:
        """Work on a request. The one place of the engine where every exception is caught."""
        try:
            return self._answer_with_less_and_less_memory(request)
        except EngineError as error:
            return Failed(request.id, error.code, str(error))
        except Stopped:
            return Cancelled(request.id)
        except Exception as error:
            if is_out_of_memory(error):
                return self._out_of_memory(request)
            logger.exception("request %s failed", request.id)
            return Failed(
                request.id,
                "internal",
                f"The engine made an error: {error!r}. The log has the details; please report it.",
            )

    def _answer_with_less_and_less_memory(self, request: Request) -> Done | Cancelled:
        """Where memory runs out, once more without anything kept, then on the CPU. Its masks replace those sent."""
        *attempts, last = _attempts(request)
        for attempt in attempts:
            try:
                return self._answer(attempt)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                logger.warning("request %s ran out of memory", request.id, exc_info=True)
                self._forget()
        return self._answer(last)

    def _answer(self, request: Request) -> Done | Cancelled:
        started = time.perf_counter()
        if self._inbox.is_cancelled(request.id):
            return Cancelled(request.id)
        if isinstance(request, OpenVolume):
            self._open(request)
        elif isinstance(request, CloseVolume):
            self._close(request.volume_id)
        elif isinstance(request, (Predict, Propagate)):
            return self._segment(request, started)
        elif isinstance(request, Prefetch):
            return self._prefetch(request, started)
        else:
            raise BadRequest(f"The engine has no answer to {type(request).__name__}.")
        return Done(request.id, time.perf_counter() - started)

    def _open(self, request: OpenVolume) -> None:
        self._close(request.volume_id)
        self._volumes[request.volume_id] = map_volume(
            Path(request.path), request.dtype, request.shape_kji, request.ijk_to_ras, request.modality
        )

    def _close(self, volume_id: str) -> None:
        self._volumes.pop(volume_id, None)
        for key in [key for key in self._sessions if key[0] == volume_id]:
            del self._sessions[key]

    def _segment(self, request: Predict | Propagate, started: float) -> Done | Cancelled:
        session = self._session(request)
        encoded_before, slices = session.encoded, 0

        def is_cancelled() -> bool:
            return self._inbox.is_cancelled(request.id)

        if isinstance(request, Predict):
            results = iter(
                [
                    session.predict(
                        request.segment, request.axis, request.slice, request.window, is_cancelled, request.zoom
                    )
                ]
            )
            total = 1
        else:
            where = (request.axis, _range(request))
            how = (request.direction, request.corrected)
            results = session.propagate(
                request.segments,
                *where,
                request.window,
                is_cancelled,
                *how,
                request.policy,
                request.zoom,
                request.progressive,
            )
            total = sum(session.most_masks(one, *where, *how) for one in request.segments)
        for result in results:
            slices += not result.is_provisional
            text = f"First look, slice {result.slice}" if result.is_provisional else f"Slice {result.slice}"
            self._writer.write(_mask_changed(request, result))
            if isinstance(request, Propagate):
                self._writer.write(Progress(request.id, slices, max(total, slices), text))
        if self._inbox.is_cancelled(request.id):
            return Cancelled(request.id)
        seconds = time.perf_counter() - started
        return Done(request.id, seconds, slices, session.encoded - encoded_before, session.backend.device_name)

    def _prefetch(self, request: Prefetch, started: float) -> Done | Cancelled:
        session = self._session(request)
        encoded = session.prefetch(
            request.axis,
            request.slice,
            request.window,
            lambda: self._inbox.is_waited_for() or self._inbox.is_cancelled(request.id),
            request.zoom,
        )
        if self._inbox.is_cancelled(request.id):
            return Cancelled(request.id)
        seconds = time.perf_counter() - started
        return Done(request.id, seconds, 0, encoded, session.backend.device_name)

    def _session(self, request: Predict | Propagate | Prefetch) -> Session:
        if request.volume_id not in self._volumes:
            raise NoSuchVolume(f"No volume {request.volume_id!r} is open. Open it again.")
        key = (request.volume_id, request.model, request.device)
        if key not in self._sessions:
            self._sessions[key] = Session(self._volumes[request.volume_id], self._backend(request))
        return self._sessions[key]

    def _backend(self, request: Predict | Propagate | Prefetch) -> Backend:
        key = (request.model, request.device)
        if key not in self._backends:
            self._writer.write(Progress(request.id, 0, 0, f"Loading the model {request.model}"))
            self._backends[key] = load_backend(*key)
        return self._backends[key]

    def _forget(self) -> None:
        """Everything that can be computed again."""
        self._sessions.clear()
        self._backends.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _out_of_memory(self, request: Request) -> Failed:
        self._forget()
        if not isinstance(request, (Predict, Propagate, Prefetch)):
            return Failed(request.id, "out_of_memory", too_little_memory("", False))
        is_gpu_tried = request.device != "cpu" and has_gpu()
        return Failed(request.id, "out_of_memory", too_little_memory(request.model, is_gpu_tried))


def _info(entry: ModelEntry) -> ModelInfo:
    size = weights_bytes(entry)
    return ModelInfo(entry.id, entry.title, entry.purpose, entry.licence, is_installed(entry), size)


def _attempts(request: Request) -> list[Request]:
    if not isinstance(request, (Predict, Propagate, Prefetch)):
        return [request]
    return [request, request] if request.device == "cpu" else [request, request, replace(request, device="cpu")]


def _mask_changed(request: Predict | Propagate, result: SliceMask) -> MaskChanged:
    region = region_of_slice(result.mask, axis_kji(result.axis), result.slice)
    return MaskChanged(
        request.id,
        request.volume_id,
        result.segment_id,
        result.axis,
        result.slice,
        region,
        round(result.object_score, 4),
        round(result.predicted_iou, 4),
        None if result.agreement is None else round(result.agreement, 4),
        result.is_provisional,
    )


def _range(request: Propagate) -> tuple[int, int] | None:
    return None if request.first is None or request.last is None else (request.first, request.last)


def _id_of(line: bytes) -> str:
    """The id of a request that is otherwise wrong, so that its sender hears of it."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    found = request.get("id", "") if isinstance(request, dict) else ""
    return found if isinstance(found, str) else ""


def _read(lines_in: BinaryIO, inbox: Inbox) -> None:
    """Until the host closes the stream. `os._exit`: the main thread may be deep in a computation.

    A worker that can no longer hear is ended too: its host notices that, and starts another.
    """
    try:
        for line in iter(lines_in.readline, b""):
            if line.strip():
                inbox.take(line)
        os._exit(0)
    finally:
        logger.error("the host can no longer be heard", exc_info=True)
        os._exit(1)
