"""The report of a training as a page that opens in any browser: figures, curves, and the worst cases as pictures."""

from __future__ import annotations

import contextlib
import html
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medsam2_engine.atomic_file import replacing
from medsam2_engine.finetune.outcome import Outcome
from medsam2_engine.finetune.scoring import TOLERANCE_MM, Mask, Score, Task
from medsam2_engine.picture import PicturedSegment, write_picture

REPORT_FILE, CURVES_FILE = "report.html", "curves.png"
WORST = 3
FOUND, TRUE = (0.95, 0.35, 0.2), (0.3, 0.85, 0.3)
STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.3em .8em;border-bottom:1px solid #ccc;text-align:right}"
    "td:first-child,th:first-child{text-align:left}img{max-width:100%}"
)


def has_pictures() -> bool:
    """Whether matplotlib is there to draw with."""
    return importlib.util.find_spec("matplotlib") is not None


def write_report(folder: Path, outcome: Outcome, log: Path, worst: Sequence[tuple[Task, Score, Mask]]) -> Path:
    """Write the page and its pictures into the folder; without matplotlib there are figures only."""
    parts = [f"<h1>{html.escape(outcome.title)}</h1>", f"<p>{html.escape(outcome.summary)}</p>", _table(outcome)]
    if has_pictures():
        _draw_curves(folder / CURVES_FILE, log)
        parts += ["<h2>Curves</h2>", f'<img src="{CURVES_FILE}" alt="loss and Dice by step">']
        parts += (
            ["<h2>Worst cases</h2>", "<p>Red: found. Green: drawn by a person. Dashed: the box.</p>"] if worst else []
        )
        for number, (task, score, mask) in enumerate(worst, 1):
            parts.append(_pictured(folder, f"worst-{number}.png", task, score, mask, outcome.title))
    else:
        parts.append('<p>Curves and pictures need matplotlib: pip install "medsam2slicer-engine[pictures]".</p>')
    page = f'<!doctype html><meta charset="utf-8"><title>{html.escape(outcome.title)}</title><style>{STYLE}</style>'
    with replacing(folder / REPORT_FILE) as temporary:
        temporary.write_text(page + "\n".join(parts) + "\n", encoding="utf-8")
    return folder / REPORT_FILE


def _table(outcome: Outcome) -> str:
    head = ("structure", "n", "Dice before", "Dice after", "change", f"surface Dice ({TOLERANCE_MM:g} mm)")
    rows = ["".join(f"<th>{name}</th>" for name in head)]
    for row in outcome.rows:
        cells = (
            html.escape(row.name),
            row.count,
            f"{row.dice_before:.3f}",
            f"{row.dice_after:.3f}",
            f"{row.gain:+.3f} ± {row.spread:.3f}",
            f"{row.surface_before:.3f} → {row.surface_after:.3f}",
        )
        rows.append("".join(f"<td>{cell}</td>" for cell in cells))
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _draw_curves(path: Path, log: Path) -> None:
    from matplotlib.figure import Figure

    lines = _lines(log)
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    loss, dice = figure.subplots(1, 2)
    _curve(loss, lines, "loss")
    for name in ("dice_box", "dice_slice1", "dice_slice4", "validation"):
        _curve(dice, lines, name)
    for axes, title in ((loss, "Loss"), (dice, "Dice of training clips, and of the cases kept apart")):
        axes.set(title=title, xlabel="step")
        if axes.get_lines():
            axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _lines(log: Path) -> list[dict[str, Any]]:
    """What can be read of the log; a full disk or a power cut leaves parts of lines."""
    found = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else ():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def _curve(axes: Any, lines: Sequence[dict[str, Any]], name: str) -> None:
    points = [(line["step"], line[name]) for line in lines if name in line]
    if points:
        axes.plot(*zip(*points, strict=True), label=name)


def _pictured(folder: Path, name: str, task: Task, score: Score, mask: Mask, title: str) -> str:
    found = PicturedSegment(f"{task.structure.name}, found", FOUND, task.axis, (task.box,), mask)
    truth = PicturedSegment(f"{task.structure.name}, drawn", TRUE, task.axis, (task.box,), task.truth_kji)
    write_picture(folder / name, task.case.volume, [found, truth], title)
    caption = f"{task.case.id}, {task.structure.name}: Dice {score.dice:.3f}"
    return f'<h3>{html.escape(caption)}</h3><img src="{name}" alt="">'
