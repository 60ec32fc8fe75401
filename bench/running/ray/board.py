"""The actor through which the driver of a sweep and its runs on the nodes of a cluster exchange messages."""

from collections import defaultdict
from collections.abc import Sequence


class Board:
    """Progress of runs on its way to the driver, and the driver's request to stop on its way to them.

    Imports next to nothing, so that its process starts fast. One that Ray started again lacks a little progress only.
    """

    def __init__(self) -> None:
        self._progress = defaultdict[str, list[bytes]](list)
        self._stopping = False

    def report(self, run: str, messages: Sequence[bytes]) -> bool:
        """Add messages of a run, as `bench.running.worker` writes them; whether the run is to stop."""
        self._progress[run] += messages
        return self._stopping

    def collect(self, run: str, stop: bool) -> list[bytes]:
        """Take the messages of a run; `stop`: whether all runs are to stop."""
        self._stopping = self._stopping or stop
        return self._progress.pop(run, [])
