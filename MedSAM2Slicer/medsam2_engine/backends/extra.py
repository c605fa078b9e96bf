"""The optional package transformers, which some families run on."""

from __future__ import annotations

from typing import Any

from medsam2_engine.errors import NoSuchModel


def transformers(family: str) -> Any:
    """The package.

    Raises:
        NoSuchModel: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise NoSuchModel(
            f"{family} models need the package transformers. Install it: "
            "`pip install medsam2slicer-engine[transformers]`."
        ) from error
    return transformers
