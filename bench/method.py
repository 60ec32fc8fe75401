"""The public names for writing a method, which stay: see docs/contributing/method.md."""

from bench.data.dataset import Summary
from bench.data.features import Features, mean_pool
from bench.learning.deep_method import AuthorsWeights, DeepMethod, count_blocks
from bench.learning.items import Batch, Draw, FrameCorruption, draw_corruption
from bench.learning.loop import TrainingError, train
from bench.learning.method import (
    LinearHash,
    Method,
    Parameters,
    Reference,
    Resources,
    ShallowMethod,
    Shape,
    VectorEncoder,
)
from bench.learning.objective import Encode, Objective
from bench.learning.schedule import BaseSchedule, CosineSchedule, Schedule

__all__ = [
    "AuthorsWeights",
    "BaseSchedule",
    "Batch",
    "CosineSchedule",
    "DeepMethod",
    "Draw",
    "Encode",
    "Features",
    "FrameCorruption",
    "LinearHash",
    "Method",
    "Objective",
    "Parameters",
    "Reference",
    "Resources",
    "Schedule",
    "ShallowMethod",
    "Shape",
    "Summary",
    "TrainingError",
    "VectorEncoder",
    "count_blocks",
    "draw_corruption",
    "mean_pool",
    "train",
]
