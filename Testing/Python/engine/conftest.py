"""One loaded model for all tests of the engine, on one quiet thread."""

from __future__ import annotations

import pytest
import torch

from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.load import load_backend
from phantoms import Phantom, a_phantom


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small tensors on busy machines: more threads only wait for each other, and sums change with their number."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def embedded() -> Backend:
    """The embedded model on the CPU."""
    return load_backend("embedded", "cpu")


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """Isotropic, in RAS; its object reaches over slices 4 to 14 along K."""
    return a_phantom()
