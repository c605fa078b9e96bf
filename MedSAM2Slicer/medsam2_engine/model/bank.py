"""What is remembered of one object while it is followed in one direction.

The rules are those of SAM 2 (Ravi et al., arXiv:2408.00714, section 4, and the released predictor):

* conditioning frames, those the user prompted, stay for ever; at most `max_cond_frames` of them are recalled: the
  nearest before, the nearest after, then the nearest of the others;
* of the followed frames the last `num_maskmem - 1` are recalled as maps and the last `max_object_pointers - 1` as
  pointers; a conditioning frame that was not chosen counts as a followed one;
* pointers of conditioning frames are recalled only once they lie in the past of the direction.

A `MemoryPolicy` may recall other maps of followed frames than the last ones; `SAM2` is the rule above.

A bank serves ONE object and ONE direction; conditioning memories are added to the banks of both. It forgets whatever
no later frame of its direction can recall, so following goes on from the last added frame, or repeats that one; to
start again further back, begin a new bank. It holds no lock: one thread uses it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

from medsam2_engine.model.config import Sam2Config

T = TypeVar("T")


@dataclass(frozen=True)
class Memory:
    """One object on one frame, as it is remembered."""

    tokens: Tensor  # (n * n, 64) bfloat16, as SAM 2 stores them; codes of place and time are added when recalled
    pointer: Tensor  # (hidden,) float32
    keys: Tensor | None = None  # (layers, n * n, inner), what a prepared model makes of the tokens once
    object_score: float = 0.0  # logit, as the frame was answered
    predicted_iou: float = 1.0
    area: float = 0.0  # pixels of the mask's logits


@dataclass(frozen=True)
class Recollection:
    """What a frame attends to. Ages are frames back along the direction, 0 marks the map of a conditioning frame."""

    maps: list[tuple[int, Memory]]
    pointers: list[tuple[int, Tensor]]  # age, (hidden,) float32
    pointer_span: int  # the age that is coded as 1


class MemoryPolicy(Protocol):
    """Which followed frames are recalled as maps."""

    def reach(self, count: int) -> int:
        """How many frames back a map may be recalled, where a frame recalls `count` maps."""

    def recall(self, followed: Sequence[tuple[int, Memory]], count: int) -> list[tuple[int, Memory]]:
        """At most `count` of the maps, each under the age 1 to `count` that it is coded with.

        followed: ages in frames, 1 to `reach`, and maps; the newest first. It may be empty.
        """


@dataclass(frozen=True)
class LastFrames:
    """SAM 2's own policy: the last `count` frames."""

    def reach(self, count: int) -> int:
        return count

    def recall(self, followed: Sequence[tuple[int, Memory]], count: int) -> list[tuple[int, Memory]]:
        return list(followed)


SAM2 = LastFrames()


class MemoryBank:
    """Memories by frame index. `frame_count` is the length of the whole volume along the slice axis."""

    def __init__(
        self, config: Sam2Config, frame_count: int, reverse: bool = False, policy: MemoryPolicy = SAM2
    ) -> None:
        self._policy = policy
        self._direction = -1 if reverse else 1
        self._max_cond_frames = config.max_cond_frames
        self._map_count = config.num_maskmem - 1
        self._map_reach = policy.reach(self._map_count)
        self._pointer_reach = min(frame_count, config.max_object_pointers) - 1
        self._conditioning: dict[int, Memory] = {}
        self._maps: dict[int, Memory] = {}
        self._pointers: dict[int, Tensor] = {}

    def add_conditioning(self, frame: int, memory: Memory) -> None:
        """Remember a prompted frame; it replaces what was remembered of this frame before."""
        self._maps.pop(frame, None)
        self._pointers.pop(frame, None)
        self._conditioning[frame] = memory

    def add(self, frame: int, memory: Memory) -> None:
        """Remember a followed frame, and forget what now lies too far back."""
        self._maps[frame] = memory
        self._pointers[frame] = memory.pointer
        self._maps = self._within(self._map_reach, frame, self._maps)
        self._pointers = self._within(self._pointer_reach, frame, self._pointers)

    def select(self, frame: int) -> Recollection:
        """What `frame` attends to. Raises ValueError when no frame was prompted yet."""
        if not self._conditioning:
            raise ValueError("Nothing to follow: add the memory of a prompted frame to the bank first.")
        chosen = self._nearest_conditioning(frame)
        passed_over = {at: memory for at, memory in self._conditioning.items() if at not in chosen}
        maps = passed_over | self._maps
        pointers = {at: memory.pointer for at, memory in passed_over.items()} | self._pointers
        past = [at for at in chosen if self._age(at, frame) >= 0]
        followed = self._policy.recall(self._recent(maps, frame, self._map_reach), self._map_count)
        return Recollection(
            maps=[(0, self._conditioning[at]) for at in chosen] + followed,
            pointers=[(self._age(at, frame), self._conditioning[at].pointer) for at in past]
            + self._recent(pointers, frame, self._pointer_reach),
            pointer_span=max(1, self._pointer_reach),
        )

    def _nearest_conditioning(self, frame: int) -> list[int]:
        prompted = sorted(self._conditioning)
        limit = self._max_cond_frames
        if limit is None or len(prompted) <= limit:
            return prompted
        before = [at for at in prompted if at < frame][-1:]
        after = [at for at in prompted if at >= frame][:1]
        # Ties go to the frame that was prompted first.
        others = [at for at in self._conditioning if at not in before + after]
        others.sort(key=lambda at: abs(at - frame))
        return before + after + others[: max(0, limit - len(before + after))]

    def _recent(self, values: dict[int, T], frame: int, reach: int) -> list[tuple[int, T]]:
        """The values 1 to `reach` frames back, with their ages."""
        ages = [age for age in range(1, reach + 1) if frame - age * self._direction in values]
        return [(age, values[frame - age * self._direction]) for age in ages]

    def _within(self, reach: int, frame: int, values: dict[int, T]) -> dict[int, T]:
        return {at: value for at, value in values.items() if self._age(at, frame) <= reach}

    def _age(self, at: int, frame: int) -> int:
        return (frame - at) * self._direction
