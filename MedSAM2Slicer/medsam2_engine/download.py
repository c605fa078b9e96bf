"""A file from the web, whole or not at all; an interrupted download goes on where it stopped.

What has arrived lies in `<name>.part` beside its place. A server is asked for the rest only if it still has the same
file (`If-Range` with its ETag, kept in `<name>.part.etag`); one that cannot do that is read from the start. The file
gets its name when size and SHA-256 are right. Proxies are those of the environment (`HTTPS_PROXY` and the like), a
mirror is an address under which the file has its own name. Nothing here is ever called without the user's command.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import shutil
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam2_engine.errors import NoSuchModel, UnwritableResult
from medsam2_engine.models import CheckpointFile

TIMEOUT_S = 30.0  # without a single byte
ATTEMPTS = 5  # in a row without a single byte more
_CHUNK = 1 << 18
_KEPT = "What has arrived is kept; the next attempt goes on from there."

Progress = Callable[[int, int], None]


class DownloadCancelled(Exception):
    """The user changed their mind; what has arrived is kept."""


@dataclass(frozen=True)
class Received:
    """What a file turned out to be."""

    size: int
    sha256: str


def download(
    file: CheckpointFile,
    folder: Path,
    mirror: str = "",
    progress: Progress = lambda done, total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    timeout_s: float = TIMEOUT_S,
) -> Received:
    """Bring a file into a folder, which is created.

    progress: called with the bytes that have arrived, and all of them (0: the server does not say).
    Raises:
        NoSuchModel: it cannot be had, or is not what it should be.
        UnwritableResult: no room, or no right to write.
        DownloadCancelled: `is_cancelled` became true.
    """
    url = address_of(file, mirror)
    part = folder / f"{file.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_room(file, part)
        _fetch(_Order(url, file, part, progress, is_cancelled, timeout_s))
        return _accept(file, part, folder / file.name)
    except OSError as error:
        reason = "The disk is full" if error.errno == errno.ENOSPC else f"It cannot be written ({error.strerror})"
        raise UnwritableResult(f"{folder / file.name}: {reason}. {_KEPT}") from error


def address_of(file: CheckpointFile, mirror: str) -> str:
    """Where a file is fetched from."""
    if not (mirror or file.url):
        raise NoSuchModel(
            f"Nobody publishes an address of {file.name}. Add the file from a disk (`medsam2 models add`)."
        )
    url = f"{mirror.rstrip('/')}/{urllib.parse.quote(file.name)}" if mirror else file.url
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise NoSuchModel(f"{url} is no web address. Give one that begins with https://.")
    return url


@dataclass(frozen=True)
class _Order:
    """All that stays the same from one attempt to the next."""

    url: str
    file: CheckpointFile
    part: Path
    progress: Progress
    is_cancelled: Callable[[], bool]
    timeout_s: float

    @property
    def etag_file(self) -> Path:
        return self.part.with_name(f"{self.part.name}.etag")

    @property
    def arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.etag_file.unlink(missing_ok=True)


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to something that anybody on the way can change."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise NoSuchModel(f"{req.full_url} sends to {newurl}, which is not encrypted. Use another address.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(order: _Order) -> None:
    """Attempt after attempt until all has arrived, or nothing more does."""
    failures = 0
    while True:
        before = order.arrived
        try:
            if _attempt(order):
                return
            reason = "the connection was lost"
        except urllib.error.HTTPError as error:
            raise NoSuchModel(_refusal(order.url, error)) from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        failures = 1 if order.arrived > before else failures + 1
        if failures >= ATTEMPTS:
            raise NoSuchModel(f"{order.url} cannot be reached ({reason}). Check the network. {_KEPT}")


def _attempt(order: _Order) -> bool:
    """One request; whether all has arrived."""
    arrived, etag = order.arrived, _read(order.etag_file)
    if order.file.size and arrived == order.file.size:
        return True
    if not _can_go_on(order, arrived, etag):
        order.forget()
        arrived = 0
    headers = {"User-Agent": "medsam2", "Accept-Encoding": "identity"}
    if arrived:
        headers |= {"Range": f"bytes={arrived}-"} | ({"If-Range": etag} if etag else {})
    opener = urllib.request.build_opener(_NoDowngrade)
    try:
        answer = opener.open(urllib.request.Request(order.url, headers=headers), timeout=order.timeout_s)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        order.forget()
        return False
    with answer:
        return _receive(order, answer, arrived)


def _can_go_on(order: _Order, arrived: int, etag: str) -> bool:
    """Whether the part can belong to the file: proven by the ETag now, or by the checksum later."""
    return bool(etag or order.file.sha256) and (not order.file.size or arrived < order.file.size)


def _receive(order: _Order, answer: Any, arrived: int) -> bool:
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        arrived = 0
    length = answer.headers.get("Content-Length")
    total = arrived + int(length) if length and length.isdigit() else 0
    _require_plausible(order, answer, total)
    etag = answer.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        order.etag_file.write_text(etag, encoding="utf-8")
    with order.part.open("ab" if arrived else "wb") as part:
        while chunk := answer.read(_CHUNK):
            part.write(chunk)
            arrived += len(chunk)
            order.progress(arrived, order.file.size or total)
            if order.is_cancelled():
                raise DownloadCancelled
    return not total or arrived >= total


def _require_plausible(order: _Order, answer: Any, total: int) -> None:
    """Better now than after a gigabyte."""
    if answer.headers.get_content_type() == "text/html":
        raise NoSuchModel(
            f"{order.url} answers with a web page, perhaps for a login or a licence. Download the file in a browser "
            "and add it from there (`medsam2 models add`)."
        )
    if order.file.size and total and total != order.file.size:
        order.forget()
        raise NoSuchModel(
            f"{order.url} offers {total} bytes instead of {order.file.size}: it is not the published file. "
            "Use another address."
        )


def _accept(file: CheckpointFile, part: Path, target: Path) -> Received:
    digest = hashlib.sha256()
    with part.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    size, sha256 = part.stat().st_size, digest.hexdigest()
    etag_file = part.with_name(f"{part.name}.etag")
    if (file.size and size != file.size) or (file.sha256 and sha256 != file.sha256):
        part.unlink()
        etag_file.unlink(missing_ok=True)
        raise NoSuchModel(
            f"{file.name} arrived with {size} bytes and SHA-256 {sha256}, which is not the published file "
            f"(SHA-256 {file.sha256}). It was deleted. Try again, or another address."
        )
    part.replace(target)
    etag_file.unlink(missing_ok=True)
    return Received(size, sha256)


def _require_room(file: CheckpointFile, part: Path) -> None:
    missing = file.size - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise UnwritableResult(
            f"{file.name} needs {missing / 1e6:.0f} MB more, and {part.parent} has {free / 1e6:.0f} MB free. "
            "Make room, or choose a folder for models on another disk (`MEDSAM2_MODELS`)."
        )


def _refusal(url: str, error: urllib.error.HTTPError) -> str:
    if error.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return (
            f"{url} wants a login (HTTP {error.code}). Download the file in a browser and add it from "
            "there (`medsam2 models add`)."
        )
    return f"{url} cannot be had (HTTP {error.code} {error.reason}). Try later, or another address (`--mirror`)."


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
