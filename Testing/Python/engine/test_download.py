"""Downloads from a server on this machine: resumed, refused, cancelled, and never half a file under its name."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from file_server import FileServer, serving
from medsam2_engine import download as downloading
from medsam2_engine.download import DownloadCancelled, download
from medsam2_engine.errors import NoSuchModel, UnwritableResult

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FileServer]]:
    """A function that starts a server with given habits."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with ExitStack() as stack:
        yield lambda **habits: stack.enter_context(serving(FileServer(CONTENT, **habits)))


def parts_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_under_its_name(serve: Any, tmp_path: Path) -> None:
    server = serve()
    received = download(server.file(), tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "model.pt").read_bytes() == CONTENT
    assert (received.size, received.sha256) == (len(CONTENT), server.sha256)
    assert parts_in(tmp_path / "new" / "folder") == ["model.pt"]


def test_progress_grows_to_the_whole(serve: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    download(serve().file(), tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_dropped_download_goes_on_where_it_stopped(serve: Any, tmp_path: Path) -> None:
    server = serve(drops_after=[300_000, 200_000])
    download(server.file(), tmp_path)
    assert [asked for _, asked in server.asked] == ["", "bytes=300000-", "bytes=500000-"]
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_a_second_command_goes_on_where_the_first_one_was_stopped(serve: Any, tmp_path: Path) -> None:
    server = serve()
    with pytest.raises(DownloadCancelled):
        download(server.file(), tmp_path, is_cancelled=lambda: True)
    kept = (tmp_path / "model.pt.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    download(server.file(), tmp_path)
    assert server.asked[-1][1] == f"bytes={kept}-"


def test_a_server_without_ranges_is_read_from_the_start(serve: Any, tmp_path: Path) -> None:
    download(serve(drops_after=[300_000], knows_ranges=False).file(), tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_a_part_of_another_version_is_not_continued(serve: Any, tmp_path: Path) -> None:
    server = serve()
    (tmp_path / "model.pt.part").write_bytes(b"old" * 1000)
    (tmp_path / "model.pt.part.etag").write_text('"old"')
    download(server.file(size=0, sha256=""), tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_a_part_that_nothing_vouches_for_is_fetched_again(serve: Any, tmp_path: Path) -> None:
    server = serve(etag="")
    (tmp_path / "model.pt.part").write_bytes(b"?" * 1000)
    download(server.file(size=0, sha256=""), tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(serve: Any, tmp_path: Path) -> None:
    server = serve()
    (tmp_path / "model.pt.part").write_bytes(CONTENT + b"more")
    download(server.file(), tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_redirects_are_followed(serve: Any, tmp_path: Path) -> None:
    server = serve(redirects=1, drops_after=[300_000])
    download(server.file(), tmp_path)
    assert ("/moved/model.pt", "bytes=300000-") in server.asked
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_no_redirect_leads_from_encrypted_to_plain() -> None:
    request = downloading.urllib.request.Request("https://hospital.example/model.pt")
    with pytest.raises(NoSuchModel, match="not encrypted"):
        downloading._NoDowngrade().redirect_request(request, None, 302, "", {}, "http://elsewhere.example/model.pt")


def test_a_slow_link_is_no_failure(serve: Any, tmp_path: Path) -> None:
    download(serve(pause_s=0.02).file(), tmp_path, timeout_s=0.5)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_a_link_without_a_sign_of_life_is_given_up_with_a_sentence(serve: Any, tmp_path: Path) -> None:
    with pytest.raises(NoSuchModel, match=r"cannot be reached \(timed out\).*goes on from there"):
        download(serve(stalls_s=1.0).file(), tmp_path, timeout_s=0.05)


def test_a_link_that_drops_without_end_is_given_up(serve: Any, tmp_path: Path) -> None:
    with pytest.raises(NoSuchModel, match="the connection was lost"):
        download(serve(drops_after=[0] * 9).file(), tmp_path)
    assert not (tmp_path / "model.pt").exists()


def test_nobody_listening_is_said(tmp_path: Path, serve: Any) -> None:
    file = serve().file(url="http://127.0.0.1:9/model.pt")
    with pytest.raises(NoSuchModel, match="Check the network"):
        download(file, tmp_path)


def test_a_server_that_offers_another_size_is_refused_before_it_sends(serve: Any, tmp_path: Path) -> None:
    server = serve()
    with pytest.raises(NoSuchModel, match=f"offers {len(CONTENT)} bytes instead of 77"):
        download(server.file(size=77), tmp_path)
    assert parts_in(tmp_path) == []


def test_another_content_is_deleted_and_never_gets_the_name(serve: Any, tmp_path: Path) -> None:
    with pytest.raises(NoSuchModel, match="not the published file"):
        download(serve().file(sha256="0" * 64), tmp_path)
    assert parts_in(tmp_path) == []


def test_a_failed_download_leaves_the_file_that_was_there(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"the running model")
    with pytest.raises(NoSuchModel):
        download(serve().file(sha256="0" * 64), tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == b"the running model"


def test_a_web_page_is_not_taken_for_a_checkpoint(serve: Any, tmp_path: Path) -> None:
    with pytest.raises(NoSuchModel, match="web page"):
        download(serve(content_type="text/html; charset=utf-8").file(size=0, sha256=""), tmp_path)


@pytest.mark.parametrize(("path", "words"), [("gone", "HTTP 404"), ("secret", "wants a login")])
def test_a_refusal_is_told_with_what_to_do(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, words: str
) -> None:
    code = {"gone": 404, "secret": 401}[path]
    error = downloading.urllib.error.HTTPError("http://x/y", code, "no", {}, None)  # type: ignore[arg-type]
    monkeypatch.setattr(downloading, "_attempt", lambda order: (_ for _ in ()).throw(error))
    with pytest.raises(NoSuchModel, match=words):
        download(serve().file(), tmp_path)


def test_a_mirror_serves_the_file_under_its_own_name(serve: Any, tmp_path: Path) -> None:
    server = serve()
    download(server.file(url="https://authors.example/x"), tmp_path, mirror=f"{server.url}/mirror/")
    assert server.asked == [("/mirror/model.pt", "")]


def test_the_proxy_of_the_environment_is_used(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve()
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "")
    download(proxy.file(url="http://authors.example/model.pt"), tmp_path)
    assert proxy.asked == [("http://authors.example/model.pt", "")]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://old.example/model.pt", "model.pt"])
def test_only_web_addresses_are_fetched(serve: Any, tmp_path: Path, url: str) -> None:
    with pytest.raises(NoSuchModel, match="no web address"):
        download(serve().file(url=url), tmp_path)


def test_a_disk_without_room_is_said_before_anything_is_fetched(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda path: downloading.shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(UnwritableResult, match=r"MB free\. Make room"):
        download(server.file(), tmp_path)
    assert server.asked == []


def test_a_disk_that_fills_up_keeps_what_has_arrived(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(done: int, total: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UnwritableResult, match=r"The disk is full\. What has arrived is kept"):
        download(serve().file(), tmp_path, progress=full)
    assert (tmp_path / "model.pt.part").exists()


def test_a_folder_that_cannot_be_made_is_said(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UnwritableResult, match="cannot be written"):
        download(serve().file(), tmp_path / "taken" / "folder")
