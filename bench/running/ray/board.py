"""The actor through which the driver of a sweep and the runs on a cluster's nodes exchange messages."""

from collections import defaultdict
from collections.abc import Sequence


class Board:
    """Passes progress from runs to the driver, and requests to stop from the driver to runs.

    It imports almost nothing, so that its process starts fast. If Ray restarts it, only some progress is lost.
    """

    def __init__(self) -> None:
        self._progress = defaultdict[str, list[bytes]](list)
        self._stopping = False

    def report(self, run: str, messages: Sequence[bytes]) -> bool:
        """Add messages of a run in the format of `bench.running.worker`. Returns whether the run must stop."""
        self._progress[run] += messages
        return self._stopping

    def collect(self, run: str, stop: bool) -> list[bytes]:
        """Take the messages of a run; `stop` asks all runs to stop."""
        self._stopping = self._stopping or stop
        return self._progress.pop(run, [])
