"""What a method's `fit` is handed, under one name that stays."""

from bench.base.progress import Progress, SilentProgress, Stopped
from bench.learning.context import FitContext

__all__ = ["FitContext", "Progress", "SilentProgress", "Stopped"]
