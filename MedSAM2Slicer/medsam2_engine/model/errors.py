"""What can go wrong with a model, in one family.

    ModelError
    ├── UnsupportedConfigError  this architecture is not SAM 2 as built here (also a ValueError)
    ├── CheckpointError         the weights cannot be read, or do not fit the architecture
    └── WrongShapeError         a frame, mask or logits of another size than the model's (also a ValueError)

Every message says what happened and what to do next.
"""


class ModelError(Exception):
    """Base of everything this package raises on purpose."""


class UnsupportedConfigError(ModelError, ValueError):
    """The configuration describes something the modules of this package cannot be."""


class CheckpointError(ModelError):
    """A checkpoint is missing, damaged, of another architecture, or not safe to open."""


class WrongShapeError(ModelError, ValueError):
    """A frame, mask or logits of another size than the model's."""
