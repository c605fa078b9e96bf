"""A web server on this machine that has one file, and the bad habits of real ones."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from medsam2_engine.models import CheckpointFile


@dataclass
class FileServer:
    """What it has, how it behaves, and what it was asked for."""

    content: bytes
    drops_after: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    knows_ranges: bool = True
    etag: str = '"one"'
    content_type: str = "application/octet-stream"
    status: int = 200
    pause_s: float = 0.0  # between pieces
    stalls_s: float = 0.0  # before the first byte
    redirects: int = 0
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)  # path and Range of every request

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def file(self, **changes: object) -> CheckpointFile:
        """The entry of this file, as somebody published it."""
        published: dict[str, object] = {
            "name": "model.pt",
            "size": len(self.content),
            "sha256": self.sha256,
            "url": f"{self.url}/model.pt",
        }
        return CheckpointFile(**{**published, **changes})  # type: ignore[arg-type]


@contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    """The server, running on a free port."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    yield server
    http.shutdown()
    http.server_close()


def _handler_of(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            server.asked.append((self.path, wanted))
            time.sleep(server.stalls_s)
            if server.redirects and "moved" not in self.path:
                self.send_response(302)
                self.send_header("Location", f"{server.url}/moved/model.pt")
                self.end_headers()
                return
            self._send(self._first_byte(wanted))

        def _first_byte(self, wanted: str) -> int:
            same = self.headers.get("If-Range", server.etag) == server.etag
            return int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.knows_ranges and same else 0

        def _send(self, first: int) -> None:
            if first >= len(server.content) > 0:
                self.send_error(416)
                return
            body = server.content[first:]
            self.send_response(206 if first else server.status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", server.content_type)
            if server.etag:
                self.send_header("ETag", server.etag)
            self.end_headers()
            end = server.drops_after.pop(0) if server.drops_after else len(body)
            step = 1 << 16
            with suppress(ConnectionError):  # whoever asked may hang up
                for start in range(0, min(end, len(body)), step):
                    self.wfile.write(body[start : min(start + step, end)])
                    time.sleep(server.pause_s)
            self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            """Tests are quiet."""

    return Handler
