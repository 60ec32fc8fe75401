"""The paper's backbone ablations (its Table 1): MCMSH's losses on MC-MLP with one branch or none."""

from typing import ClassVar

from .mcmsh import Mcmsh, McmshParameters
from .mcmsh.mixer import Branch


class MlpMixerParameters(McmshParameters):
    branches: tuple[Branch, ...] = ()


class LongRangeParameters(McmshParameters):
    branches: tuple[Branch, ...] = ("long",)


class MiddleRangeParameters(McmshParameters):
    branches: tuple[Branch, ...] = ("middle",)


class ShortRangeParameters(McmshParameters):
    branches: tuple[Branch, ...] = ("short",)


class MlpMixer(Mcmsh):
    """No branches; the output step is skipped."""

    name = "mlp-mixer"
    title = "MLP-Mixer"
    authors = None
    Parameters: ClassVar = MlpMixerParameters


class MixerLongRange(Mcmsh):
    """Only the long-range branch."""

    name = "mixer-lrd"
    title = "+L-RD"
    authors = None
    Parameters: ClassVar = LongRangeParameters


class MixerMiddleRange(Mcmsh):
    """Only the middle-range branch."""

    name = "mixer-mrd"
    title = "+M-RD"
    authors = None
    Parameters: ClassVar = MiddleRangeParameters


class MixerShortRange(Mcmsh):
    """Only the short-range branch."""

    name = "mixer-srd"
    title = "+S-RD"
    authors = None
    Parameters: ClassVar = ShortRangeParameters
