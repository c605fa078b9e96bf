"""Which structures are the left and the right one of a pair, by their names.

A left hemisphere looks like the right one: painted alike, it teaches that an object ends in the middle of the body,
where no edge says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from medsam2_engine.finetune.cases import Structure

LEFT, RIGHT = "left", "right"
WORDS = {"l": LEFT, "lt": LEFT, "left": LEFT, "r": RIGHT, "rt": RIGHT, "right": RIGHT}
# FreeSurfer's table of labels (FreeSurferColorLUT): left and right.
FREESURFER = {
    2: 41, 3: 42, 4: 43, 5: 44, 7: 46, 8: 47, 10: 49, 11: 50, 12: 51, 13: 52,
    17: 53, 18: 54, 26: 58, 28: 60, 30: 62, 136: 137, 163: 164,
}  # fmt: skip


def right_of_left(structures: Iterable[Structure]) -> dict[Structure, Structure]:
    """The right structure of every left one that has its partner on the same layer."""
    sides: dict[tuple[str, int], dict[str, Structure]] = {}
    for structure in structures:
        name, side = _without_side(structure.name)
        if side:
            sides.setdefault((name, structure.layer), {})[side] = structure
    return {pair[LEFT]: pair[RIGHT] for pair in sides.values() if len(pair) == 2}


def _without_side(name: str) -> tuple[str, str]:
    """("orbit", "left") of "Orbit-Lt"; the side is "" where the name says none."""
    of_freesurfer = re.fullmatch(r".*FreeSurfer label (\d+)", name)
    if of_freesurfer:
        number = int(of_freesurfer[1])
        lefts = {right: left for left, right in FREESURFER.items()}
        side = LEFT if number in FREESURFER else RIGHT if number in lefts else ""
        return f"FreeSurfer {lefts.get(number, number)}", side
    words = re.split(r"[\s_\-/]+", name.lower())
    found = {WORDS[word] for word in words if word in WORDS}
    return " ".join(word for word in words if word not in WORDS), found.pop() if len(found) == 1 else ""
