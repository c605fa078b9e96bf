"""Pairs of the same random network, ours and transformers', and the harness that makes transformers follow an object.

Weights are random but seeded, and every parameter is random, layer scales and time codes too: a branch that
contributes nothing would hide its errors.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest
import torch
from torch import Tensor

from medsam2_engine.model.bank import Memory, MemoryBank
from medsam2_engine.model.config import HieraConfig, Sam2Config
from medsam2_engine.model.frame import FrameMask, FramePrompt, ImageFeatures
from medsam2_engine.model.keys import to_official
from medsam2_engine.model.sam2 import Sam2
from seeded_networks import randomise, transformers_config

OBJECT_ID = 1
# Of random places' frequencies. A prompted mask is remembered as all or nothing, so a pixel whose logit is within
# rounding of 0 is remembered either way; with half of all draws there is one. With this one the nearest is at 4e-5.
FREQUENCIES = 3


@pytest.fixture(autouse=True)
def one_quiet_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def small_config() -> Sam2Config:
    """An architecture like the embedded model's: no published size, and its own rules for masks and memory."""
    return Sam2Config(
        image_size=128,
        hidden=128,
        hiera=HieraConfig(
            dims=(32, 64, 160, 256),
            heads=(1, 2, 5, 8),
            blocks=(1, 1, 4, 1),
            windows=(8, 8, 8, 4),
            global_blocks=(3, 4, 5),
            background=(8, 8),
        ),
        decoder_feed_forward=512,
        iou_head_hidden=128,
        multimask_min_points=1,
        multimask_for_tracking=False,
        stability_fallback=False,
        memory_layers=2,
        memory_feed_forward=512,
        fuser_feed_forward=512,
        fuser_layer_scale=0.1,
        num_maskmem=4,
        max_object_pointers=4,
        max_cond_frames=4,
    )


@pytest.fixture(scope="session")
def tiny(make_pair: Any) -> "Pair":
    return make_pair(Sam2Config.hiera_tiny(256))


@pytest.fixture(scope="session")
def small(make_pair: Any, small_config: Sam2Config) -> "Pair":
    return make_pair(small_config)


@pytest.fixture(scope="session")
def tiny_prepared(tiny: "Pair") -> "Pair":
    return tiny.prepared()


@pytest.fixture(scope="session")
def small_prepared(small: "Pair") -> "Pair":
    return small.prepared()


@pytest.fixture(scope="session", params=["tiny", "small", "tiny_prepared", "small_prepared"])
def pair(request: pytest.FixtureRequest) -> "Pair":
    """Modules as they are trained, and folded for inference: both have to be transformers'."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def make_pair() -> Any:
    """A function from a configuration to a pair; importing transformers is left to the tests that compare."""
    return _make_pair


@pytest.fixture(scope="session")
def pair_type() -> type["Pair"]:
    return Pair


@pytest.fixture(scope="session")
def phantom_of() -> Any:
    return phantom


@pytest.fixture(scope="session")
def transformers_config_of() -> Any:
    return transformers_config


@pytest.fixture(scope="session")
def a_random_model(small_config: Sam2Config) -> Sam2:
    model = Sam2(small_config).eval()
    randomise(model, seed=7)
    return model


@dataclass
class Pair:
    """One network twice, and the frames it looks at."""

    ours: Sam2
    theirs: Any
    frames: Tensor  # (T, 3, S, S)

    @property
    def config(self) -> Sam2Config:
        return self.ours.config

    @cached_property
    def features(self) -> list[ImageFeatures]:
        """Every frame, encoded once for all tests."""
        return [self.ours.encode(frame[None]) for frame in self.frames]

    @cached_property
    def their_features(self) -> Any:
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceCache

        return Sam2VideoInferenceCache(max_vision_features_cache_size=len(self.frames))

    @property
    def box(self) -> FramePrompt:
        return self.points((0.30, 0.35), (0.58, 0.62), labels=(2, 3))

    @property
    def one_point(self) -> FramePrompt:
        return self.points((0.45, 0.5), labels=(1,))

    @property
    def two_points(self) -> FramePrompt:
        return self.points((0.45, 0.5), (0.7, 0.55), labels=(1, 0))

    def points(self, *xy: tuple[float, float], labels: tuple[int, ...]) -> FramePrompt:
        """Places in parts of the frame."""
        return FramePrompt(torch.tensor(xy) * self.config.image_size, torch.tensor(labels))

    def with_absent_object(self) -> "Pair":
        """The same networks, sure that there never is an object."""
        return _make_pair(self.config, present=False)

    def prepared(self, dtype: torch.dtype = torch.float32) -> "Pair":
        """The same weights, folded for inference; the reference stays as it is."""
        ours = Sam2(self.config).eval()
        ours.load_state_dict(self.ours.state_dict())
        return Pair(ours.prepare(dtype), self.theirs, self.frames)

    def their_session(self) -> "TheirSession":
        return TheirSession(self)

    def our_session(self, reverse: bool = False) -> "OurSession":
        return OurSession(self, MemoryBank(self.config, len(self.frames), reverse))


@dataclass
class OurSession:
    """Follows one object with our modules, remembering all it did."""

    pair: Pair
    bank: MemoryBank
    masks: dict[int, FrameMask] = field(default_factory=dict)
    memories: dict[int, Memory] = field(default_factory=dict)

    def prompt(self, frame: int, prompt: FramePrompt) -> FrameMask:
        return self._condition(frame, self.pair.ours.prompt(self.pair.features[frame], prompt))

    def draw(self, frame: int, mask: Tensor) -> FrameMask:
        return self._condition(frame, self.pair.ours.from_mask(self.pair.features[frame], mask))

    def follow(self, frames: range, prompt: FramePrompt | None = None) -> None:
        model = self.pair.ours
        for frame in frames:
            features = self.pair.features[frame]
            self.masks[frame] = model.track(features, self.bank, frame, prompt)
            self.memories[frame] = model.remember(features, self.masks[frame], from_prompt=prompt is not None)
            self.bank.add(frame, self.memories[frame])

    def _condition(self, frame: int, mask: FrameMask) -> FrameMask:
        self.masks[frame] = mask
        self.memories[frame] = self.pair.ours.remember(self.pair.features[frame], mask, from_prompt=True)
        self.bank.add_conditioning(frame, self.memories[frame])
        return mask


class TheirSession:
    """Follows one object with transformers' own inference session."""

    def __init__(self, pair: Pair) -> None:
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

        self.model = pair.theirs
        size = pair.config.image_size
        self.session = Sam2VideoInferenceSession(
            video=pair.frames, video_height=size, video_width=size, dtype=torch.float32
        )
        self.session.cache = pair.their_features
        self.object = self.session.obj_id_to_idx(OBJECT_ID)

    def prompt(self, frame: int, prompt: FramePrompt) -> Tensor:
        self._add(frame, prompt)
        return self.model(self.session, frame_idx=frame).pred_masks[0, 0]

    def draw(self, frame: int, mask: Tensor) -> Tensor:
        self.session.add_mask_inputs(self.object, frame, mask[None, None].float())
        self.session.obj_with_new_inputs.append(OBJECT_ID)
        return self.model(self.session, frame_idx=frame).pred_masks[0, 0]

    def refine(self, frame: int, prompt: FramePrompt, previous_logits: Tensor) -> Tensor:
        """What `forward` leaves out: the earlier logits go in as a dense prompt."""
        self._add(frame, prompt)
        output = self.model._run_single_frame_inference(
            inference_session=self.session,
            frame_idx=frame,
            obj_idx=self.object,
            batch_size=1,
            is_init_cond_frame=True,
            point_inputs=self.session.point_inputs_per_obj[self.object][frame],
            mask_inputs=None,
            reverse=False,
            prev_sam_mask_logits=previous_logits[None, None].clamp(-32, 32),
        )
        return output["pred_masks"][0, 0]

    def follow(self, frames: range) -> None:
        for frame in frames:
            self.model(self.session, frame_idx=frame, reverse=frames.step < 0)

    def logits(self, frame: int) -> Tensor:
        return self._output(frame)["pred_masks"][0, 0]

    def pointer(self, frame: int) -> Tensor:
        return self._output(frame)["object_pointer"].flatten()

    def score(self, frame: int) -> float:
        return float(self._output(frame)["object_score_logits"])

    def memory(self, frame: int) -> Tensor:
        return self._output(frame)["maskmem_features"][:, 0]

    def _add(self, frame: int, prompt: FramePrompt) -> None:
        inputs = {"point_coords": prompt.points_xy[None, None], "point_labels": prompt.labels[None, None]}
        self.session.add_point_inputs(self.object, frame, inputs)
        self.session.obj_with_new_inputs.append(OBJECT_ID)

    def _output(self, frame: int) -> Any:
        outputs = self.session.output_dict_per_obj[self.object]
        return outputs["cond_frame_outputs"].get(frame) or outputs["non_cond_frame_outputs"][frame]


def _make_pair(config: Sam2Config, frames: int = 12, present: bool = True, seed: int = 0) -> Pair:
    from transformers import Sam2VideoModel

    theirs = Sam2VideoModel(transformers_config(config)).eval()
    with torch.no_grad():
        randomise(theirs, seed)
        theirs.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(3.0 if present else -3.0)
        places = theirs.prompt_encoder.shared_embedding.positional_embedding
        places.copy_(torch.randn(places.shape, generator=torch.Generator().manual_seed(FREQUENCIES)))
        theirs.shared_image_embedding.positional_embedding.copy_(
            theirs.prompt_encoder.shared_embedding.positional_embedding
        )
    ours = Sam2(config).eval()
    ours.load_state_dict(to_official(theirs.state_dict()))
    return Pair(ours, theirs, phantom(frames, config.image_size))


def phantom(frames: int, size: int, seed: int = 0) -> Tensor:
    """(frames, 3, size, size): a bright ellipse that drifts and grows past a still one, in noise."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    images = []
    for time in torch.linspace(-0.5, 0.5, frames):
        radius = 0.13 * torch.sqrt(1 - (1.6 * time) ** 2)
        drifting = ((columns - 0.45 - 0.08 * time) / radius) ** 2 + ((rows - 0.5 + 0.06 * time) / radius / 0.8) ** 2 < 1
        still = ((columns - 0.68) / 0.06) ** 2 + ((rows - 0.55) / 0.09) ** 2 < 1
        image = 1.5 * drifting + 0.8 * still + 0.1 * torch.randn(size, size, generator=generator)
        images.append(image.expand(3, -1, -1))
    return torch.stack(images)
