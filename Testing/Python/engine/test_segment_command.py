"""`medsam2 segment`: the real program on a phantom, and with a stand-in for the model everything around it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from medsam2_engine import segment_command
from medsam2_engine.errors import BadRequest, EngineError, NoSuchModel, UnreadableVolume, UnwritableResult
from medsam2_engine.exit_codes import ExitCode, run_guarded
from medsam2_engine.progress_bar import ProgressBar
from medsam2_engine.propagation import SliceMask
from medsam2_engine.segment_arguments import parse_arguments
from medsam2_engine.segment_command import OpenedModel
from medsam2_engine.segmentation_file import read_segmentation
from medsam2_engine.volume import Volume, read_volume
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import SegmentPrompts, axis_kji

SHAPE_KJI = (24, 64, 72)
CENTRE_KJI, RADII_KJI = (12, 30, 38), (6, 14, 11)
SOURCE = Path(segment_command.__file__).parents[1]


def ellipsoid() -> np.ndarray:
    grid = np.indices(SHAPE_KJI).reshape(3, -1).T
    inside = (((grid - CENTRE_KJI) / RADII_KJI) ** 2).sum(axis=1) <= 1
    return inside.reshape(SHAPE_KJI)


@pytest.fixture(scope="module")
def a_phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright ellipsoid in noise, oblique, 0.9 x 0.9 x 3 mm."""
    noise = np.random.default_rng(1).normal(0, 12, SHAPE_KJI)
    image = sitk.GetImageFromArray((100 + 120 * ellipsoid() + noise).astype(np.int16))
    image.SetSpacing((0.9, 0.9, 3.0))
    c, s = np.cos(0.3), np.sin(0.3)
    image.SetDirection((1, 0, 0, 0, c, -s, 0, s, c))
    image.SetOrigin((-20.0, 15.0, 80.0))
    path = tmp_path_factory.mktemp("phantom") / "phantom.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


BOX = ["--slice", "12", "--box", "26,15,50,45"]


def run_program(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "medsam2_engine", "segment", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


# ---- the real program


@pytest.fixture(scope="module")
def a_run(a_phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("run")
    box = {"type": "box", "axis": "K", "slice": 12, "min": [26, 15], "max": [50, 45]}
    document = {"segments": [{"name": "Läsion", "color": [1, 0, 0], "prompts": [box]}]}
    (folder / "prompts.json").write_text(json.dumps(document), encoding="utf-8")
    outputs = ["-o", folder / "out.seg.nrrd", "--picture", folder / "out.png", "--report", folder / "out.json"]
    return folder, run_program(a_phantom, "--prompts", folder / "prompts.json", "--device", "cpu", *outputs)


def test_a_box_on_one_slice_becomes_the_ellipsoid(
    a_run: tuple[Path, subprocess.CompletedProcess[str]], a_phantom: Path
) -> None:
    folder, done = a_run
    assert done.returncode == 0, done.stderr
    (segment,), ijk_to_ras = read_segmentation(folder / "out.seg.nrrd")
    assert (segment.name, segment.color) == ("Läsion", (1, 0, 0))
    assert dice(segment.mask_kji, ellipsoid()) > 0.85
    assert np.allclose(ijk_to_ras, read_volume(a_phantom).ijk_to_ras, atol=1e-6)


def test_the_summary_tells_millilitres_slices_and_time(a_run: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = a_run
    assert "Läsion" in done.stdout
    assert " ml  slices K " in done.stdout
    assert "s per slice, model embedded on CPU" in done.stdout


def test_without_a_terminal_stderr_stays_empty(a_run: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    assert a_run[1].stderr == ""


def test_the_report_agrees_with_the_segmentation(a_run: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = a_run
    report = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    (segment,), _ = read_segmentation(folder / "out.seg.nrrd")
    (entry,) = report["segments"]
    occupied = np.flatnonzero(segment.mask_kji.any(axis=(1, 2)))
    assert entry["voxels"] == segment.mask_kji.sum()
    assert entry["slices"] == [occupied[0], occupied[-1]]
    assert entry["millilitres"] == pytest.approx(segment.mask_kji.sum() * 0.9 * 0.9 * 3 / 1000, rel=1e-3)


def test_the_picture_is_drawn(a_run: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    assert (a_run[0] / "out.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_found_without_loading_torch(a_phantom: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from medsam2_engine.__main__ import main\n"
        f"code = main(['segment', {str(a_phantom)!r}, '--slice', '400', '--box', '1,1,5,5', '-o', 'x.nrrd'])\n"
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.BAD_PROMPTS
    assert "there is no slice 400 on axis K: the volume has 24 (0 to 23)" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


# ---- around a stand-in for the model


class FakeSession:
    """Finds a block of 3 x 4 voxels on every slice of the range, or on five around the middle."""

    def __init__(self, volume: Volume, on_slice: Callable[[int], None]) -> None:
        self.encoded = 0
        self.calls: list[tuple[Any, ...]] = []
        self.zooms: list[str] = []
        self._volume = volume
        self._on_slice = on_slice

    def propagate(
        self,
        segments: Sequence[SegmentPrompts],
        axis: str,
        slice_range: tuple[int, int] | None = None,
        window: Window | None = None,
        is_cancelled: Callable[[], bool] = lambda: False,
        *,
        zoom: str = "off",
        progressive: bool = False,
    ) -> Iterator[SliceMask]:
        self.zooms.append(zoom)
        self.calls.append(([segment.segment_id for segment in segments], axis, slice_range, window))
        first, last = slice_range or (10, 14)
        for index in range(first, last + 1):
            for segment in segments:
                if is_cancelled():
                    return
                self._on_slice(index)
                self.encoded += 1
                mask = np.zeros(np.delete(self._volume.shape_kji, axis_kji(axis)), bool)
                mask[5:8, 6:10] = True
                if progressive:
                    rough = ~mask
                    yield SliceMask(segment.segment_id, axis, index, rough, 1.0, 1.0, is_provisional=True)
                yield SliceMask(segment.segment_id, axis, index, self.changed(mask), 1.0, 1.0)

    def changed(self, mask: np.ndarray) -> np.ndarray:
        return mask


class BlindSession(FakeSession):
    """Never sees anything."""

    def changed(self, mask: np.ndarray) -> np.ndarray:
        return np.zeros_like(mask)


class Bench:
    """Runs the command with a fake model, and keeps its session."""

    def __init__(self, phantom: Path, folder: Path) -> None:
        self.phantom = phantom
        self.output = folder / "out.seg.nrrd"
        self.session_class: type[FakeSession] = FakeSession
        self.on_slice: Callable[[int], None] = lambda index: None
        self.session: FakeSession | None = None

    def run(self, *arguments: object, output: Path | None = None) -> int:
        argv = [str(argument) for argument in (self.phantom, *arguments, "-o", output or self.output)]
        return segment_command.main(argv, self._open)

    def calls(self) -> list[tuple[Any, ...]]:
        assert self.session is not None
        return self.session.calls

    def mask(self) -> np.ndarray:
        (segment, *_), _ = read_segmentation(self.output)
        return segment.mask_kji

    def _open(self, volume: Volume, model_id: str, device: str) -> OpenedModel:
        self.session = self.session_class(volume, self.on_slice)
        return OpenedModel(self.session, f"fake {device}")


@pytest.fixture
def a_bench(a_phantom: Path, tmp_path: Path) -> Bench:
    return Bench(a_phantom, tmp_path)


@pytest.mark.parametrize("axis", ["I", "J", "K"])
def test_masks_land_on_their_slices_along_every_axis(a_bench: Bench, axis: str) -> None:
    assert a_bench.run("--axis", axis, "--slice", 12, "--box", "8,8,20,20", "--range", "11,13") == 0
    mask = np.moveaxis(a_bench.mask(), axis_kji(axis), 0)
    assert np.flatnonzero(mask.any(axis=(1, 2))).tolist() == [11, 12, 13]
    assert np.argwhere(mask[12]).min(0).tolist() == [5, 6]
    assert np.argwhere(mask[12]).max(0).tolist() == [7, 9]


def test_prompts_by_hand_reach_the_session(a_bench: Bench) -> None:
    points = ["--point", "38,30,12", "--point", "2,2,12,neg"]
    assert a_bench.run(*BOX, *points, "--range", "8,16", "--window", "-160,240", "--name", "GTVp") == 0
    assert a_bench.calls() == [(["segment_1"], "K", (8, 16), Window(-160, 240))]


def test_the_zoom_reaches_the_session_and_the_report(a_bench: Bench, tmp_path: Path) -> None:
    assert a_bench.run(*BOX, "--zoom", "auto", "--report", tmp_path / "r.json") == 0
    assert a_bench.session is not None
    assert a_bench.session.zooms == ["auto"]
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["zoom"] == "auto"


@pytest.mark.parametrize("option", [["--zoom", "on"], ["--progressive"]])
def test_medsam2s_own_script_has_no_such_options(
    a_bench: Bench, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        a_bench.run(*BOX, "--like", "medsam2", *option)
    assert f"{option[0]} is not used with --like" in capsys.readouterr().err


def test_provisional_masks_are_counted_apart_and_replaced(a_bench: Bench, tmp_path: Path) -> None:
    assert a_bench.run(*BOX, "--progressive", "--report", tmp_path / "r.json") == 0
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["slices"] == 5
    assert 0 <= report["first_look_seconds"] <= report["seconds"]
    assert a_bench.mask().sum() == 5 * 3 * 4


def test_without_a_first_look_the_report_has_no_time_of_one(a_bench: Bench, tmp_path: Path) -> None:
    a_bench.run(*BOX, "--report", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["first_look_seconds"] is None


def test_segments_with_the_same_axis_and_range_go_together(a_bench: Bench, tmp_path: Path) -> None:
    def entry(name: str, axis: str) -> dict[str, Any]:
        return {"name": name, "axis": axis, "prompts": [{"type": "point", "ijk": [38, 30, 12]}]}

    document = {"segments": [entry("a", "K"), entry("b", "J"), entry("c", "K")]}
    (tmp_path / "p.json").write_text(json.dumps(document), encoding="utf-8")
    assert a_bench.run("--prompts", tmp_path / "p.json") == 0
    assert [call[:2] for call in a_bench.calls()] == [(["segment_1", "segment_3"], "K"), (["segment_2"], "J")]
    segments, _ = read_segmentation(a_bench.output)
    assert [segment.name for segment in segments] == ["a", "b", "c"]


def test_quiet_says_nothing(a_bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert a_bench.run(*BOX, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_mask_file_by_hand_is_read(a_bench: Bench, tmp_path: Path) -> None:
    mask = np.zeros(SHAPE_KJI[1:], np.uint8)
    mask[20:30, 30:40] = 1
    sitk.WriteImage(sitk.GetImageFromArray(mask), str(tmp_path / "m.nrrd"))
    assert a_bench.run("--mask", tmp_path / "m.nrrd", "--slice", 12) == 0


def test_nothing_found_has_a_code_of_its_own_and_writes_no_segmentation(
    a_bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_bench.session_class = BlindSession
    assert a_bench.run(*BOX, "--name", "GTVp", "--report", tmp_path / "r.json") == ExitCode.NOTHING_FOUND
    assert "no object was found for GTVp" in capsys.readouterr().err
    assert not a_bench.output.exists()
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["segments"][0]["slices"] is None


def test_ctrl_c_stops_between_slices_and_writes_nothing(a_bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(index: int) -> None:
        if index == 11:
            signal.raise_signal(signal.SIGINT)

    a_bench.on_slice = interrupt
    assert a_bench.run(*BOX) == ExitCode.INTERRUPTED
    assert a_bench.session is not None
    assert a_bench.session.encoded == 2
    assert not a_bench.output.exists()
    assert "nothing was written" in capsys.readouterr().err


def test_ctrl_c_pressed_twice_stops_at_once(a_bench: Bench) -> None:
    def interrupt(index: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    a_bench.on_slice = interrupt
    assert a_bench.run(*BOX) == ExitCode.INTERRUPTED
    assert a_bench.session is not None
    assert a_bench.session.encoded == 0


def test_ctrl_c_means_what_it_did_before_afterwards(a_bench: Bench) -> None:
    before = signal.getsignal(signal.SIGINT)
    a_bench.run(*BOX)
    assert signal.getsignal(signal.SIGINT) is before


def fail_with(error: Exception) -> Callable[[int], None]:
    def fail(index: int) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_no_memory_left_is_said_in_words(a_bench: Bench, error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    a_bench.on_slice = fail_with(error)
    assert a_bench.run(*BOX) == ExitCode.OUT_OF_MEMORY
    assert "Not enough memory" in capsys.readouterr().err
    assert not a_bench.output.exists()


def test_an_internal_error_shows_its_traceback_only_with_debug(
    a_bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    a_bench.on_slice = fail_with(ZeroDivisionError("by zero"))
    assert a_bench.run(*BOX) == ExitCode.INTERNAL
    assert "Traceback" not in capsys.readouterr().err
    assert a_bench.run(*BOX, "--debug") == ExitCode.INTERNAL
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnreadableVolume("x"), 3),
        (BadRequest("x"), 4),
        (NoSuchModel("x"), 5),
        (UnwritableResult("x"), 8),
        (EngineError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_kind_of_failure_has_its_exit_code(error: BaseException, code: int) -> None:
    def fail() -> ExitCode:
        raise error

    assert run_guarded(fail, is_debug=False) == code


def test_every_exit_code_is_documented() -> None:
    documented = (SOURCE.parent / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert [code for code in ExitCode if f"| {code:d} |" not in documented] == []


def test_a_volume_that_is_not_there_ends_with_code_3(a_bench: Bench, tmp_path: Path) -> None:
    a_bench.phantom = tmp_path / "none.nii.gz"
    assert a_bench.run(*BOX) == ExitCode.UNREADABLE


def test_an_unknown_model_ends_with_code_5_before_the_volume_is_read(a_bench: Bench, tmp_path: Path) -> None:
    a_bench.phantom = tmp_path / "none.nii.gz"
    assert a_bench.run(*BOX, "--model", "sam9") == ExitCode.NO_MODEL


@pytest.mark.parametrize("option", ["--picture", "--report"])
def test_every_place_to_write_is_checked_before_the_volume_is_read(a_bench: Bench, tmp_path: Path, option: str) -> None:
    a_bench.phantom = tmp_path / "none.nii.gz"
    assert a_bench.run(*BOX, option, tmp_path / "missing" / "x.png") == ExitCode.UNWRITABLE
    assert a_bench.run(*BOX, output=tmp_path / "out.jpg") == ExitCode.UNWRITABLE


# ---- arguments

USAGE_ERRORS = [
    ([], "nothing says what to segment"),
    (["--box", "1,2,3,4"], "need the --slice"),
    (["--slice", "3", "--point", "1,2,3"], "a point names its slice itself"),
    (["--prompts", "p.json", "--box", "1,2,3,4"], "--box is not used with --prompts"),
    (["--prompts", "p.json", "--name", "x"], "--name is not used with --prompts"),
    ([*BOX[:3], "1,2,3"], "4 numbers with commas"),
    ([*BOX[:3], "1,2,3,x"], "4 numbers with commas"),
    ([*BOX[:3], "1,2,3,inf"], "4 numbers with commas"),
    (["--point", "1,2,3,maybe"], "neg or pos"),
    ([*BOX, "--range", "1.5,3"], "two whole numbers"),
    ([*BOX, "--window", "240,-160"], "lower < upper"),
    ([*BOX, "--axis", "k"], "--axis"),
    ([*BOX, "--device", "tpu"], "--device"),
]


@pytest.mark.parametrize(("arguments", "sentence"), USAGE_ERRORS, ids=[sentence for _, sentence in USAGE_ERRORS])
def test_arguments_that_make_no_sense_are_a_usage_error(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(["ct.nii.gz", *arguments, "-o", "out.nrrd"])
    assert stopped.value.code == ExitCode.USAGE
    assert sentence in capsys.readouterr().err


def test_the_box_of_another_axis_takes_the_two_other_indices() -> None:
    arguments = parse_arguments(["v.nrrd", "--axis", "I", "--slice", "7", "--box", "1,2,3,4", "-o", "o.nrrd"])
    (segment,) = arguments.by_hand["segments"]
    assert segment["prompts"] == [{"type": "box", "axis": "I", "slice": 7, "min": [1, 2], "max": [3, 4]}]


# ---- the progress bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_of_a_known_range_ends_full_and_leaves_an_empty_line() -> None:
    stream = Terminal()
    with ProgressBar(stream, 2) as progress:
        progress.advance("slice K 4")
        progress.advance("slice K 5")
    *_, full, empty, end = stream.getvalue().split("\r")
    assert full == f"[{'#' * 30}] 2/2  slice K 5"
    assert empty.strip() == end == ""


def test_an_unknown_range_is_counted() -> None:
    stream = Terminal()
    with ProgressBar(stream, None) as progress:
        progress.advance("slice K 4")
    assert "1 slices  slice K 4" in stream.getvalue()


def test_a_file_or_a_pipe_gets_no_bar() -> None:
    stream = io.StringIO()
    with ProgressBar(stream, 2) as progress:
        progress.advance("slice K 4")
    assert stream.getvalue() == ""
