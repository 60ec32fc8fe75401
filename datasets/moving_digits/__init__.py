"""The dataset `moving-digits`: handwritten digits in synthetic motion. Nothing to download, made in seconds."""

from .parameters import Parameters
from .source import MovingDigits

__all__ = ["MovingDigits", "Parameters"]
