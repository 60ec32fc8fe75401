"""What the nodes of a cluster ask the machine where a sweep was started: whether to stop, and for features."""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bench.cluster.placement import PlacedDescription, chunk_of, describe
from bench.data.dataset import Dataset
from bench.errors import InputError


class SweepActor:
    """Runs as a Ray actor beside the driver, and reads datasets as the driver does."""

    def __init__(
        self, folder: str, datasets: Mapping[str, str], plugins: Sequence[Path], data_root: Path | None
    ) -> None:
        # Names may be paths that start where the driver is.
        os.chdir(folder)
        self._names, self._plugins, self._data_root = datasets, plugins, data_root
        self._loaded: dict[str, Dataset] = {}
        self._lock = threading.Lock()
        self._stopping = False

    def stop(self) -> None:
        """Have all runs brought to a point from where they can go on."""
        self._stopping = True

    def stopping(self) -> bool:
        """Whether somebody asked to stop."""
        return self._stopping

    def describe(self, fingerprint: str) -> PlacedDescription:
        """What there is to place of a dataset."""
        return describe(self._dataset(fingerprint))

    def chunk(self, fingerprint: str, file: str, start: int, stop: int) -> NDArray[Any]:
        """Videos start…stop-1 of one of its files."""
        return chunk_of(self._dataset(fingerprint), file, start, stop)

    def _dataset(self, fingerprint: str) -> Dataset:
        with self._lock:
            if fingerprint not in self._loaded:
                # Seconds to import, in which nobody could be told to stop.
                from bench.registry import load_registry  # noqa: PLC0415

                name = self._names[fingerprint]
                data = load_registry(self._plugins, self._data_root).dataset(name).load()
                if data.summary.fingerprint != fingerprint:
                    raise InputError(f"{name}: the dataset was changed since the sweep began; start it again")
                self._loaded[fingerprint] = data
            return self._loaded[fingerprint]
