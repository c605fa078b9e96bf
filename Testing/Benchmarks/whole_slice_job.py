"""The same job for a whole-slice model, through our session and through transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import Device
from medsam2_engine.frames import SliceStack
from medsam2_engine.framing import WholeSliceFraming, shared_frames
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.keys import to_transformers
from medsam2_engine.precision import Precision
from medsam2_engine.session import Session
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import SegmentPrompts
from phantoms import Phantom, a_phantom
from seeded_networks import seeded_model, transformers_config

WINDOW = Window(0.0, 255.0)
OBJECT_ID = 1


@dataclass
class Job:
    """One box on the middle slice of a phantom, followed both ways to its ends."""

    config: Sam2Config
    slices: int

    def __post_init__(self) -> None:
        side, half = 256, self.slices / 2
        self.phantom: Phantom = a_phantom(
            shape_kji=(self.slices, side, side), center_kji=(half, 115.0, 130.0), radii_kji=(2 * half, 40.0, 50.0)
        )
        self.key = self.slices // 2
        self.box = self.phantom.box("K", self.key)

    def backend(self, precision: Precision = "exact", device: str = "cpu") -> Sam2Backend:
        framing = WholeSliceFraming(self.config.image_size)
        return Sam2Backend("seeded", seeded_model(self.config), framing, Device(device, device), precision)

    def session(self, backend: Sam2Backend) -> Session:
        return Session(self.phantom.volume, backend, feature_budget_bytes=1 << 32)

    def run(self, session: Session, segments: int = 1) -> np.ndarray:
        """The masks of the first segment, (K, J, I)."""
        prompts = [SegmentPrompts(str(number), (self.box,)) for number in range(segments)]
        found = np.zeros(self.phantom.truth_kji.shape, bool)
        for result in session.propagate(prompts, "K", (0, self.slices - 1), WINDOW):
            if result.segment_id == "0":
                found[result.slice] = result.mask
        return found

    def transformers(self) -> TransformersJob:
        return TransformersJob(self)


class TransformersJob:
    """transformers' video model with the same weights on the same pixels; the frames are resampled beforehand."""

    def __init__(self, job: Job) -> None:
        from transformers import Sam2VideoModel

        self._job = job
        self._model: Any = Sam2VideoModel(transformers_config(job.config)).eval()
        self._model.load_state_dict(to_transformers(seeded_model(job.config).state_dict()), strict=False)
        slices = SliceStack(job.phantom.volume, "K")
        frames = shared_frames(WholeSliceFraming(job.config.image_size), slices, WINDOW)
        assert frames is not None
        self._pixels = torch.cat([frames.pixels(index) for index in range(job.slices)])
        (x0, y0), (x1, y1) = job.box.min, job.box.max
        self._corners = torch.tensor([[[[x0, y0], [x1, y1]]]]) * (job.config.image_size / slices.shape[0])

    @torch.inference_mode()
    def run(self) -> np.ndarray:
        """Both directions, with the masks brought to the voxels of the slices."""
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

        size, shape = self._job.config.image_size, self._job.phantom.truth_kji.shape
        session = Sam2VideoInferenceSession(
            video=self._pixels, video_height=size, video_width=size, dtype=torch.float32
        )
        found = np.zeros(shape, bool)
        for reverse in (False, True):
            target = session.obj_id_to_idx(OBJECT_ID)
            inputs = {"point_coords": self._corners.float(), "point_labels": torch.tensor([[[2, 3]]])}
            session.add_point_inputs(target, self._job.key, inputs)
            session.obj_with_new_inputs.append(OBJECT_ID)
            self._model(session, frame_idx=self._job.key)
            for output in self._model.propagate_in_video_iterator(
                session, start_frame_idx=self._job.key, reverse=reverse
            ):
                logits = torch.nn.functional.interpolate(output.pred_masks.float(), shape[1:], mode="bilinear")
                found[output.frame_idx] = (logits[0, 0] > 0).numpy()
            session.reset_tracking_data()
        return found
