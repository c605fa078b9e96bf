"""Which followed slices a walk recalls: SAM 2's own rule, and two others to choose from.

Prompted and kept slices are always recalled (`model.bank`); a policy chooses among the slices that were followed since.
All recall the same number of maps, so none costs more than SAM 2's own. What is recalled from further back than SAM 2
would is coded as if it were recent, in its order: models know no other ages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch.nn.functional as F
from torch import Tensor

from medsam2_engine.errors import BadRequest
from medsam2_engine.model.bank import SAM2, Memory, MemoryPolicy
from medsam2_protocol import messages

Aged = tuple[int, Memory]


@dataclass(frozen=True)
class PrunedFrames:
    """Of twice as many frames the newest, and of the others those least similar to it.

    Similarity is the cosine between the tokens of two memories: neighbouring slices that look alike say the same twice.
    After the efficient frame pruning of SurgSAM-2 (Liu et al., arXiv:2408.07931), which drops the most similar frames
    of a bank.
    """

    stretch: int = 2

    def reach(self, count: int) -> int:
        return self.stretch * count

    def recall(self, followed: Sequence[Aged], count: int) -> list[Aged]:
        if len(followed) <= count:
            return _in_order(followed)
        newest, *others = followed
        others.sort(key=lambda one: _similarity(newest[1].tokens, one[1].tokens))
        return _in_order([newest, *others[: count - 1]])


@dataclass(frozen=True)
class GatedFrames:
    """The newest frame, and of those before it the last on which the model was sure of a steady object.

    Sure: object score above 0 and predicted IoU of at least `smallest_iou`, as in SAMURAI's memory selection (Yang et
    al., arXiv:2411.11922). Steady: an area between the `area_ratio`-th part and `area_ratio` times the median of the
    sure frames, after DAM4SAM's condition for its distractor-resolving memory (Videnovic et al., arXiv:2411.17576).
    """

    stretch: int = 4
    smallest_iou: float = 0.5
    area_ratio: float = 2.0

    def reach(self, count: int) -> int:
        return self.stretch * count

    def recall(self, followed: Sequence[Aged], count: int) -> list[Aged]:
        sure = [one for one in followed[1:] if self._is_sure(one[1])]
        typical = median(memory.area for _, memory in sure) if sure else 0.0
        steady = [one for one in sure if typical <= self.area_ratio * one[1].area <= self.area_ratio**2 * typical]
        return _in_order([*followed[:1], *steady[: count - 1]])

    def _is_sure(self, memory: Memory) -> bool:
        return memory.object_score > 0 and memory.predicted_iou >= self.smallest_iou


POLICIES: dict[str, MemoryPolicy] = {
    messages.SAM2: SAM2,
    messages.PRUNED: PrunedFrames(),
    messages.GATED: GatedFrames(),
}


def find_policy(name: str) -> MemoryPolicy:
    """The policy of that name.

    Raises:
        BadRequest: there is none.
    """
    if name not in POLICIES:
        raise BadRequest(f"There is no memory policy {name!r}. Choose one of {', '.join(POLICIES)}.")
    return POLICIES[name]


def _in_order(chosen: Sequence[Aged]) -> list[Aged]:
    """The newest first, with ages 1, 2, 3."""
    return [(place, memory) for place, (_, memory) in enumerate(sorted(chosen, key=lambda one: one[0]), 1)]


def _similarity(one: Tensor, other: Tensor) -> float:
    return float(F.cosine_similarity(one.float().flatten(), other.float().flatten(), dim=0))
