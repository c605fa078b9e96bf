"""The numbers that tell one SAM 2 model from another.

SAM 2 (Ravi et al., arXiv:2408.00714) and 2.1, MedSAM2 and the embedded model share one architecture; a `Sam2Config`
holds what differs. The defaults are SAM 2.1 as published. SAM 2.0 is the same with two parts switched off:

    replace(Sam2Config.hiera_tiny(), occlusion_embedding=False, pointer_time_encoding=False)

and a model runs at another resolution (a multiple of 32) with `replace(config, image_size=512)`.
"""

from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from medsam2_engine.model.errors import UnsupportedConfigError

MEMORY_CHANNELS = 64  # width of a memory token in every published SAM 2


@dataclass(frozen=True)
class HieraConfig:
    """The image encoder's trunk (Ryali et al., Hiera, arXiv:2306.00989): four stages, pooled by 2 between them.

    The first block of a stage still works on the windows of the stage before, and pools its queries.
    """

    dims: tuple[int, int, int, int] = (96, 192, 384, 768)
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    blocks: tuple[int, int, int, int] = (1, 2, 7, 2)
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)  # tokens along a window's side
    global_blocks: tuple[int, ...] = (5, 7, 9)  # blocks that attend to the whole map, counted over all stages
    background: tuple[int, int] = (7, 7)  # grid of the coarse position embedding, stretched over the map
    mlp_ratio: float = 4.0

    @property
    def pooling_blocks(self) -> tuple[int, ...]:
        """Indices of the blocks that halve the map: the first of stages 2, 3 and 4."""
        return tuple(accumulate(self.blocks))[:3]

    def __post_init__(self) -> None:
        if {len(self.dims), len(self.heads), len(self.blocks), len(self.windows)} != {4}:
            raise UnsupportedConfigError(
                "Hiera has four stages: give four widths, heads, numbers of blocks and windows."
            )
        if any(dim % heads for dim, heads in zip(self.dims, self.heads, strict=True)):
            raise UnsupportedConfigError(f"Hiera widths {self.dims} cannot be split into {self.heads} heads.")
        if any(window % 2 for window in self.windows[:3]):
            raise UnsupportedConfigError(
                f"Hiera windows {self.windows} cannot be halved; the first three must be even."
            )
        if any(narrow == wide for narrow, wide in pairwise(self.dims)):
            raise UnsupportedConfigError(f"Hiera widths {self.dims} repeat; a stage must differ from the one before.")
        if pooling_and_global := set(self.pooling_blocks) & set(self.global_blocks):
            raise UnsupportedConfigError(
                f"Hiera blocks {sorted(pooling_and_global)} would both pool and attend globally."
            )
        if any(not 0 <= block < sum(self.blocks) for block in self.global_blocks):
            raise UnsupportedConfigError(
                f"Global blocks {self.global_blocks} are not all among {sum(self.blocks)} blocks."
            )


@dataclass(frozen=True)
class Sam2Config:
    """One SAM 2 video model. Sizes are pixels of the square model frame, counts are counts, widths are channels."""

    image_size: int = 1024
    hidden: int = 256
    hiera: HieraConfig = field(default_factory=HieraConfig)
    fpn_top_down_levels: tuple[int, ...] = (2, 3)  # pyramid levels (0 = stride 4) that take part in the top-down path

    mask_prompt_channels: int = 16
    decoder_heads: int = 8
    decoder_feed_forward: int = 2048
    decoder_downsample: int = 2  # cross attention works in hidden / this
    iou_head_hidden: int = 256

    # Which of the decoder's outputs is the answer (ambiguity, section 4 of the paper).
    multimask: bool = True
    multimask_min_points: int = 0
    multimask_max_points: int = 1
    multimask_for_tracking: bool = True
    stability_fallback: bool = True  # an unstable single mask gives way to the best of the three
    stability_delta: float = 0.05
    stability_threshold: float = 0.98

    memory_layers: int = 4
    memory_heads: int = 1
    memory_downsample: int = 1
    memory_feed_forward: int = 2048
    rope_theta: float = 10000.0
    fuser_layers: int = 2
    fuser_feed_forward: int = 1024
    fuser_layer_scale: float = 1e-6  # initial value only

    # A mask probability p enters the memory encoder as p * scale + bias.
    memory_mask_scale: float = 20.0
    memory_mask_bias: float = -10.0

    num_maskmem: int = 7  # conditioning memory plus the last six frames
    max_object_pointers: int = 16
    max_cond_frames: int | None = None  # None: all of them

    # SAM 2.1 only.
    occlusion_embedding: bool = True  # no_obj_embed_spatial marks the memory of a frame without the object
    pointer_time_encoding: bool = True  # obj_ptr_tpos_proj tells pointers how old they are

    @property
    def grid(self) -> int:
        """Side of the stride-16 feature map that attention works on, `n` in the shapes of this package."""
        return self.image_size // 16

    @property
    def mask_size(self) -> int:
        """Side of the mask logits, stride 4."""
        return self.image_size // 4

    def wants_multimask(self, points: int, tracking: bool) -> bool:
        """Whether the best of three masks answers a prompt of this many points, rather than the single mask."""
        few_points = self.multimask_min_points <= points <= self.multimask_max_points
        return self.multimask and few_points and (self.multimask_for_tracking or not tracking)

    def __post_init__(self) -> None:
        window = self.hiera.windows[0]
        if self.image_size <= 0 or self.image_size % 32 or self.mask_size % window:
            raise UnsupportedConfigError(
                f"Frames of {self.image_size} pixels do not divide into the model's patches and windows; "
                f"choose a multiple of {max(32, 4 * window)}."
            )
        if self.hidden % MEMORY_CHANNELS:
            raise UnsupportedConfigError(f"Width {self.hidden} cannot be cut into memories {MEMORY_CHANNELS} wide.")
        if self.hidden // self.memory_downsample // self.memory_heads % 4:
            raise UnsupportedConfigError(
                "Memory attention heads must be a multiple of 4 wide to be rotated along two axes."
            )
        if self.num_maskmem < 1 or (self.max_cond_frames is not None and self.max_cond_frames < 1):
            raise UnsupportedConfigError("A video model needs room for at least one memory.")

    @classmethod
    def hiera_tiny(cls, image_size: int = 1024) -> "Sam2Config":
        """SAM 2.1 Hiera-T; MedSAM2 is this at 512 pixels."""
        return cls(image_size=image_size)

    @classmethod
    def hiera_small(cls, image_size: int = 1024) -> "Sam2Config":
        """SAM 2.1 Hiera-S."""
        return cls(image_size=image_size, hiera=HieraConfig(blocks=(1, 2, 11, 2), global_blocks=(7, 10, 13)))

    @classmethod
    def hiera_base_plus(cls, image_size: int = 1024) -> "Sam2Config":
        """SAM 2.1 Hiera-B+."""
        trunk = HieraConfig(
            dims=(112, 224, 448, 896),
            heads=(2, 4, 8, 16),
            blocks=(2, 3, 16, 3),
            global_blocks=(12, 16, 20),
            background=(14, 14),
        )
        return cls(image_size=image_size, hiera=trunk)

    @classmethod
    def hiera_large(cls, image_size: int = 1024) -> "Sam2Config":
        """SAM 2.1 Hiera-L."""
        trunk = HieraConfig(
            dims=(144, 288, 576, 1152),
            heads=(2, 4, 8, 16),
            blocks=(2, 6, 36, 4),
            windows=(8, 4, 16, 8),
            global_blocks=(23, 33, 43),
        )
        return cls(image_size=image_size, hiera=trunk)
