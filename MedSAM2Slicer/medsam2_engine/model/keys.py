"""Parameter names: official SAM 2 checkpoints <-> transformers' Sam2VideoModel.

One table read in both directions. A name is a module path and a parameter; the table renames module paths, `#` stands
for a block number that stays. Two entries differ by more than a name: transformers stacks the four point embeddings
into one table, and stores the random Fourier matrix twice.

Both functions are pure: they return a new dict of the same tensors. A name that the table does not know is an error.
"""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from medsam2_engine.model.errors import CheckpointError

_POINTS = [f"sam_prompt_encoder.point_embeddings.{kind}.weight" for kind in range(4)]
_STACKED_POINTS = "prompt_encoder.point_embed.weight"
_FOURIER = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_FOURIER_COPIES = (
    "prompt_encoder.shared_embedding.positional_embedding",
    "shared_image_embedding.positional_embedding",
)


def to_transformers(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of transformers 4.57 and later for an official state dict. Raises CheckpointError for unknown names."""
    state = dict(official)
    special: dict[str, Tensor] = {}
    if all(name in state for name in _POINTS):
        special[_STACKED_POINTS] = torch.cat([state.pop(name) for name in _POINTS])
    if (fourier := state.pop(_FOURIER, None)) is not None:
        special |= dict.fromkeys(_FOURIER_COPIES, fourier)
    return _renamed(state, _table(source=0), "official SAM 2") | special


def to_official(transformers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official names for a transformers state dict. Raises CheckpointError for unknown or contradictory entries."""
    state = dict(transformers)
    special: dict[str, Tensor] = {}
    if (points := state.pop(_STACKED_POINTS, None)) is not None:
        special |= zip(_POINTS, torch.split(points, 1), strict=True)
    copies = [state.pop(name) for name in _FOURIER_COPIES if name in state]
    if copies:
        if copies[0] is not copies[-1] and not torch.equal(copies[0], copies[-1]):
            raise CheckpointError(
                f"{' and '.join(_FOURIER_COPIES)} differ, but the model has one such matrix. Save the checkpoint again."
            )
        special[_FOURIER] = copies[0]
    return _renamed(state, _table(source=1), "transformers SAM 2") | special


def is_transformers_layout(names: Mapping[str, Tensor]) -> bool:
    """Whether a state dict uses transformers' names."""
    return any(name.startswith("vision_encoder.") for name in names)


def _renamed(state: Mapping[str, Tensor], table: Mapping[str, str], layout: str) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, tensor in state.items():
        new_name = _rename(name, table)
        if new_name is None:
            unknown.append(name)
        else:
            renamed[new_name] = tensor
    if unknown:
        raise CheckpointError(
            f"{len(unknown)} entries are not {layout} parameters: {', '.join(unknown)}. "
            "Choose a checkpoint of the SAM 2 family."
        )
    return renamed


def _rename(name: str, table: Mapping[str, str]) -> str | None:
    """The new name: of the module with its parameter's name kept, or of a parameter that has its own rule."""
    module, dot, parameter = name.rpartition(".")
    for path, rest in ((module, dot + parameter), (name, "")):
        if path in table:
            return table[path] + rest
        if number := re.search(r"\.(\d+)(?=\.|$)", path):
            pattern = f"{path[: number.start()]}.#{path[number.end() :]}"
            if pattern in table:
                return table[pattern].replace("#", number[1]) + rest
    return None


def _table(source: int) -> dict[str, str]:
    return {pair[source]: pair[1 - source] for pair in _pairs()}


def _pairs() -> Iterator[tuple[str, str]]:
    yield from _image_encoder()
    yield from _memory()
    yield from _prompt_encoder()
    yield from _mask_decoder()
    yield from _perceptron("obj_ptr_proj", "object_pointer_proj", depth=3)
    yield "obj_ptr_tpos_proj", "temporal_positional_encoding_projection_layer"
    yield "no_obj_embed_spatial", "occlusion_spatial_embedding_parameter"
    yield "maskmem_tpos_enc", "memory_temporal_positional_encoding"
    yield "no_mem_embed", "no_memory_embedding"
    yield "no_mem_pos_enc", "no_memory_positional_encoding"
    yield "no_obj_ptr", "no_object_pointer"
    yield "mask_downsample", "mask_downsample"


def _image_encoder() -> Iterator[tuple[str, str]]:
    trunk, backbone = "image_encoder.trunk", "vision_encoder.backbone"
    yield f"{trunk}.pos_embed", f"{backbone}.pos_embed"
    yield f"{trunk}.pos_embed_window", f"{backbone}.pos_embed_window"
    yield f"{trunk}.patch_embed.proj", f"{backbone}.patch_embed.projection"
    block, layer = f"{trunk}.blocks.#", f"{backbone}.blocks.#"
    yield from ((f"{block}.norm{i}", f"{layer}.layer_norm{i}") for i in (1, 2))
    yield from ((f"{block}.{part}", f"{layer}.{part}") for part in ("attn.qkv", "attn.proj", "proj"))
    yield from _perceptron(f"{block}.mlp", f"{layer}.mlp", depth=2)
    yield "image_encoder.neck.convs.#.conv", "vision_encoder.neck.convs.#"


def _memory() -> Iterator[tuple[str, str]]:
    layer = "memory_attention.layers.#"
    yield "memory_attention.norm", "memory_attention.layer_norm"
    yield from ((f"{layer}.norm{i}", f"{layer}.layer_norm{i}") for i in (1, 2, 3))
    yield from ((f"{layer}.linear{i}", f"{layer}.linear{i}") for i in (1, 2))
    yield from _attention(f"{layer}.self_attn", f"{layer}.self_attn")
    yield from _attention(f"{layer}.cross_attn_image", f"{layer}.cross_attn_image")

    encoder, downsampler = "memory_encoder.mask_downsampler.encoder", "memory_encoder.mask_downsampler"
    for i in range(4):
        yield f"{encoder}.{3 * i}", f"{downsampler}.layers.{i}.conv"
        yield f"{encoder}.{3 * i + 1}", f"{downsampler}.layers.{i}.layer_norm"
    yield f"{encoder}.12", f"{downsampler}.final_conv"
    yield "memory_encoder.pix_feat_proj", "memory_encoder.feature_projection"
    yield "memory_encoder.out_proj", "memory_encoder.projection"
    fuser, memory_fuser = "memory_encoder.fuser.layers.#", "memory_encoder.memory_fuser.layers.#"
    yield f"{fuser}.dwconv", f"{memory_fuser}.depthwise_conv"
    yield f"{fuser}.norm", f"{memory_fuser}.layer_norm"
    yield from ((f"{fuser}.pwconv{i}", f"{memory_fuser}.pointwise_conv{i}") for i in (1, 2))
    yield f"{fuser}.gamma", f"{memory_fuser}.scale"


def _prompt_encoder() -> Iterator[tuple[str, str]]:
    for part in ("not_a_point_embed", "no_mask_embed"):
        yield f"sam_prompt_encoder.{part}", f"prompt_encoder.{part}"
    for i, part in {0: "conv1", 1: "layer_norm1", 3: "conv2", 4: "layer_norm2", 6: "conv3"}.items():
        yield f"sam_prompt_encoder.mask_downscaling.{i}", f"prompt_encoder.mask_embed.{part}"


def _mask_decoder() -> Iterator[tuple[str, str]]:
    official, transformers = "sam_mask_decoder", "mask_decoder"
    for part in ("iou_token", "mask_tokens", "obj_score_token", "conv_s0", "conv_s1"):
        yield f"{official}.{part}", f"{transformers}.{part}"
    for i, part in {0: "upscale_conv1", 1: "upscale_layer_norm", 3: "upscale_conv2"}.items():
        yield f"{official}.output_upscaling.{i}", f"{transformers}.{part}"
    for part in ("output_hypernetworks_mlps.#", "iou_prediction_head", "pred_obj_score_head"):
        yield from _perceptron(f"{official}.{part}", f"{transformers}.{part}", depth=3)

    official, transformers = f"{official}.transformer", f"{transformers}.transformer"
    block, layer = f"{official}.layers.#", f"{transformers}.layers.#"
    for part in ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token"):
        yield from _attention(f"{block}.{part}", f"{layer}.{part}")
    yield from ((f"{block}.norm{i}", f"{layer}.layer_norm{i}") for i in (1, 2, 3, 4))
    yield from _perceptron(f"{block}.mlp", f"{layer}.mlp", depth=2)
    final = "final_attn_token_to_image"
    yield from _attention(f"{official}.{final}", f"{transformers}.{final}")
    yield f"{official}.norm_final_attn", f"{transformers}.layer_norm_final_attn"


def _attention(official: str, transformers: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{official}.{part}", f"{transformers}.{part}") for part in ("q_proj", "k_proj", "v_proj"))
    yield f"{official}.out_proj", f"{transformers}.o_proj"


def _perceptron(official: str, transformers: str, depth: int) -> Iterator[tuple[str, str]]:
    """Official counts all layers; transformers names the first and the last and counts those between."""
    yield f"{official}.layers.0", f"{transformers}.proj_in"
    yield from ((f"{official}.layers.{i}", f"{transformers}.layers.{i - 1}") for i in range(1, depth - 1))
    yield f"{official}.layers.{depth - 1}", f"{transformers}.proj_out"
