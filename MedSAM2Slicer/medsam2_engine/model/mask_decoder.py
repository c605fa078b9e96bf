"""From a frame's features and a prompt's tokens to mask candidates, and from candidates to the answer.

Two-way transformer: Kirillov et al., arXiv:2304.02643, appendix A. Object score and skip connections from the finer
maps: Ravi et al., arXiv:2408.00714, appendix D. Token order: object score, IoU, single mask, three masks, prompt.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.layers import ChannelNorm, Mlp

MASKS = 4  # one unambiguous mask, then three alternatives


@dataclass(frozen=True)
class MaskCandidates:
    """All the decoder knows before a mask is chosen; masks are only computed when asked for."""

    tokens: Tensor  # (B, 4, hidden)
    weights: Tensor  # (B, 4, hidden/8), the hypernetworks' answer for each token
    pixels: Tensor  # (B, hidden/8, 4n, 4n)
    ious: Tensor  # (B, 4) in [0, 1], predicted
    object_score: Tensor  # (B,) logit, > 0: the object is on this frame

    def logits(self, which: Tensor) -> Tensor:
        """The (B, 4n, 4n) mask logits of candidate `which` (B,) of each batch entry."""
        weights = _pick(self.weights, which)
        return torch.einsum("bc,bchw->bhw", weights, self.pixels)


@dataclass(frozen=True)
class MaskChoice:
    """The decoder's answer."""

    logits: Tensor  # (B, 4n, 4n)
    iou: Tensor  # (B,)
    token: Tensor  # (B, hidden), what the object pointer is made of
    object_score: Tensor  # (B,)


class MaskDecoder(nn.Module):
    """Tokens attend to the frame and back; each mask token then becomes a 1 x 1 filter over the upscaled frame."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        hidden = config.hidden
        self.transformer = TwoWayTransformer(config)
        self.obj_score_token = nn.Embedding(1, hidden)
        self.iou_token = nn.Embedding(1, hidden)
        self.mask_tokens = nn.Embedding(MASKS, hidden)
        self.conv_s0 = nn.Conv2d(hidden, hidden // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(hidden, hidden // 4, kernel_size=1)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(hidden, hidden // 4, kernel_size=2, stride=2),
            ChannelNorm(hidden // 4),
            nn.GELU(),
            nn.ConvTranspose2d(hidden // 4, hidden // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Mlp(hidden, hidden, hidden, hidden // 8) for _ in range(MASKS))
        self.iou_prediction_head = Mlp(hidden, config.iou_head_hidden, config.iou_head_hidden, MASKS)
        self.pred_obj_score_head = Mlp(hidden, hidden, hidden, 1)
        self.fast_upscaling: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None  # set by `Sam2.prepare`
        self._fallback = config.stability_fallback
        self._delta = config.stability_delta
        self._threshold = config.stability_threshold

    def forward(self, frame: Tensor, positions: Tensor, middle: Tensor, fine: Tensor, prompt: Tensor) -> MaskCandidates:
        """Candidates for one prompt per batch entry.

        frame: (B, hidden, n, n) features plus dense prompt. positions: (n * n, hidden). middle: (B, hidden/4, 2n, 2n).
        fine: (B, hidden/8, 4n, 4n). prompt: (B, T, hidden) tokens.
        """
        own = torch.cat((self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight))
        tokens = torch.cat((own.expand(len(prompt), -1, -1), prompt), dim=1)
        tokens, pixels = self.transformer(tokens, frame.flatten(2).transpose(1, 2), positions)
        masks = tokens[:, 2 : 2 + MASKS]
        weights = [mlp(masks[:, index]) for index, mlp in enumerate(self.output_hypernetworks_mlps)]
        return MaskCandidates(
            tokens=masks,
            weights=torch.stack(weights, dim=1),
            pixels=self._upscale(pixels.transpose(1, 2).view_as(frame), middle, fine),
            ious=self.iou_prediction_head(tokens[:, 1]).sigmoid(),
            object_score=self.pred_obj_score_head(tokens[:, 0])[:, 0],
        )

    def choose(self, candidates: MaskCandidates, multimask: bool) -> MaskChoice:
        """The best of three masks by predicted IoU, or the single mask unless that one is unstable."""
        best = 1 + candidates.ious[:, 1:].argmax(dim=1)
        single = torch.zeros_like(best)
        which = best if multimask else single
        token = _pick(candidates.tokens, which)
        logits = candidates.logits(which)
        if not multimask and self._fallback and not self.training:
            which = torch.where(self._is_stable(logits), single, best)
            logits = logits if bool((which == single).all()) else candidates.logits(which)
        return MaskChoice(logits, _pick(candidates.ious, which), token, candidates.object_score)

    def _upscale(self, frame: Tensor, middle: Tensor, fine: Tensor) -> Tensor:
        if self.fast_upscaling is not None:
            return self.fast_upscaling(frame, middle, fine)
        widen, norm, gelu, widen_again, _ = self.output_upscaling
        y: Tensor = gelu(norm(widen(frame) + middle))
        return F.gelu(widen_again(y) + fine)

    def _is_stable(self, logits: Tensor) -> Tensor:
        """(B, 4n, 4n) to (B,) bool: raising and lowering the threshold by delta leaves the mask nearly the same."""
        inner = (logits > self._delta).sum(dim=(1, 2))
        outer = (logits > -self._delta).sum(dim=(1, 2))
        return (outer == 0) | (inner / outer >= self._threshold)


class TwoWayTransformer(nn.Module):
    """Two blocks in which tokens and frame attend to each other, and a last look of the tokens at the frame."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(config, is_first=index == 0) for index in range(2))
        self.final_attn_token_to_image = Attention(config.hidden, config.decoder_heads, config.decoder_downsample)
        self.norm_final_attn = nn.LayerNorm(config.hidden)

    def forward(self, tokens: Tensor, frame: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (B, T, hidden) and frame (B, n * n, hidden) to the same, informed about each other."""
        names = tokens  # each token's first value stays its position code
        for layer in self.layers:
            tokens, frame = layer(tokens, names, frame, positions)
        look = self.final_attn_token_to_image(tokens + names, frame + positions, frame)
        return self.norm_final_attn(tokens + look), frame


class TwoWayBlock(nn.Module):
    """Tokens among themselves, tokens to frame, perceptron, frame to tokens."""

    def __init__(self, config: Sam2Config, is_first: bool) -> None:
        super().__init__()
        hidden, heads, downsample = config.hidden, config.decoder_heads, config.decoder_downsample
        self.self_attn = Attention(hidden, heads)
        self.norm1 = nn.LayerNorm(hidden)
        self.cross_attn_token_to_image = Attention(hidden, heads, downsample)
        self.norm2 = nn.LayerNorm(hidden)
        self.mlp = Mlp(hidden, config.decoder_feed_forward, hidden)
        self.norm3 = nn.LayerNorm(hidden)
        self.norm4 = nn.LayerNorm(hidden)
        self.cross_attn_image_to_token = Attention(hidden, heads, downsample)
        self._is_first = is_first

    def forward(self, tokens: Tensor, names: Tensor, frame: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        if self._is_first:  # tokens still are their own position codes
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            named = tokens + names
            tokens = tokens + self.self_attn(named, named, tokens)
        tokens = self.norm1(tokens)
        placed = frame + positions
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + names, placed, frame))
        tokens = self.norm3(tokens + self.mlp(tokens))
        frame = self.norm4(frame + self.cross_attn_image_to_token(placed, tokens + names, tokens))
        return tokens, frame


class Attention(nn.Module):
    """Multi-head attention in `hidden / downsample` channels."""

    def __init__(self, hidden: int, heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner = hidden // downsample
        self.q_proj = nn.Linear(hidden, inner)
        self.k_proj = nn.Linear(hidden, inner)
        self.v_proj = nn.Linear(hidden, inner)
        self.out_proj = nn.Linear(inner, hidden)
        self._heads = heads

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q (B, Q, hidden), k and v (B, K, hidden) to (B, Q, hidden)."""
        q, k, v = self._split(self.q_proj(q)), self._split(self.k_proj(k)), self._split(self.v_proj(v))
        y: Tensor = self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return y

    def _split(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self._heads, -1)).transpose(1, 2)


def _pick(values: Tensor, which: Tensor) -> Tensor:
    """values (B, M, ...) at index `which` (B,): (B, ...)."""
    return values[torch.arange(len(values), device=values.device), which]
