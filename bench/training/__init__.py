"""How deep methods train: what a method says of itself, and the one loop that does the rest."""

from bench.training.authors import AuthorsWeights
from bench.training.items import Batch, Draw, Objective
from bench.training.loop import TrainingError, train
from bench.training.method import DeepMethod
from bench.training.schedule import Schedule

__all__ = ["AuthorsWeights", "Batch", "DeepMethod", "Draw", "Objective", "Schedule", "TrainingError", "train"]
