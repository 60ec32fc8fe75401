"""The context of a fit, for methods and plug-ins: a public name that stays."""

from bench.base.progress import Progress, SilentProgress, Stopped
from bench.learning.context import FitContext

__all__ = ["FitContext", "Progress", "SilentProgress", "Stopped"]
