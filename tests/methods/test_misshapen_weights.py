"""Checkpoints with one weight missing or of another shape, for every method that reads its authors' files."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

import bench
from bench.base.errors import InputError
from bench.learning.deep_method import DeepMethod
from bench.registry import load_registry

BITS, FRAMES, DIMENSIONS = 8, 5, 12
SMALL = {"hidden": 64, "depth": 1, "decoder_hidden": 12, "decoder_depth": 1, "layers": 1}
READABLE = {name: found for name, found in load_registry().methods.items() if getattr(found, "authors", None)}


class Watched(dict[str, Tensor]):
    """Weights that note which of them are looked at."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__(weights)
        self.seen: list[str] = []

    def __getitem__(self, name: str) -> Tensor:
        self.seen.append(name)
        return super().__getitem__(name)


def weights_of(method: type[DeepMethod]) -> dict[str, Tensor]:
    """A small network's weights under the authors' names."""
    chosen = {name: value for name, value in SMALL.items() if name in method.Parameters.model_fields}
    network = method(BITS, method.Parameters.model_validate(chosen)).network(FRAMES, DIMENSIONS)
    assert method.authors
    names = method.authors.names
    return {names[ours]: value.clone() for ours, value in network.state_dict().items() if ours in names}


@pytest.mark.parametrize("name", READABLE)
def test_are_named(name: str, tmp_path: Path) -> None:
    method = READABLE[name]
    assert issubclass(method, DeepMethod)
    assert method.authors
    authors, weights, file = method.authors, weights_of(method), tmp_path / "a.pth"
    settings = dict.fromkeys(authors.settings, 1.0)

    def load(changed: dict[str, Tensor]) -> None:
        torch.save(changed, file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bench.load_checkpoint(name, file, bits=BITS, frames=FRAMES, **settings)

    load(weights)
    watched = Watched(weights)
    for look in (authors.shown, authors.frames):
        if look:
            look(watched)
    for weight in dict.fromkeys([*watched.seen, next(reversed(weights))]):
        others = {other: value for other, value in weights.items() if other != weight}
        for changed in (None, torch.tensor(1.0), weights[weight][None, None]):
            with pytest.raises(InputError, match=r"a\.pth: ") as caught:
                load(others if changed is None else others | {weight: changed})
            assert "\n" not in str(caught.value)
