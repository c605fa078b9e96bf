"""The tokens of a map in the order of its windows, by one table of places made beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class WindowOrder:
    """Where each token of a square map goes; windows at the border may reach beyond it."""

    window: int  # tokens along a side
    order: Tensor  # (windows * window^2,) token of each place; beyond the border the first one
    beyond: Tensor  # places beyond the border
    back: Tensor  # (side^2,) place of each token

    @classmethod
    def of(cls, side: int, window: int) -> WindowOrder:
        across = -(-side // window)
        tokens = torch.full((across * window, across * window), -1)
        tokens[:side, :side] = torch.arange(side * side).view(side, side)
        order = tokens.view(across, window, across, window).transpose(1, 2).flatten()
        beyond = (order < 0).nonzero()[:, 0]
        is_token = order >= 0
        back = torch.empty(side * side, dtype=torch.long)
        back[order[is_token]] = is_token.nonzero()[:, 0]
        return cls(window, order.clamp(min=0), beyond, back)

    @property
    def is_padded(self) -> bool:
        return len(self.beyond) > 0

    def to(self, device: torch.device) -> WindowOrder:
        return WindowOrder(self.window, self.order.to(device), self.beyond.to(device), self.back.to(device))

    def arranged(self, tokens: Tensor) -> Tensor:
        """(B, side^2, C) to (B, windows * window^2, C)."""
        return tokens.index_select(1, self.order)

    def undone(self, tokens: Tensor) -> Tensor:
        """(B, windows * window^2, C) to (B, side^2, C), without what lies beyond the border."""
        return tokens.index_select(1, self.back)
