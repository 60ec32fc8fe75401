"""The counts of `counting.count_block` on a CUDA device; they are integers, so every score stays the same."""

import importlib
import sys
from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.text import one_line, say
from bench.metrics.blocks import Counter
from bench.metrics.labels import Problem, bit_planes
from bench.metrics.tie_sums import Counts

# Below this many pairs of codes the processor answers within half a second or so: two cores of 2.5 GHz count 1.5
# billion pairs in a second, sixteen 5 to 10 billion.
LARGE = 10**9
# From here on it pays to import PyTorch, which takes seconds, only to look for a device.
HUGE = 10**10
# Wider problems are counted by the processor: longer codes have more cells than on-chip memory holds, and more classes
# (neighbours without labels: one class a query) would be mostly zeros.
MOST_BITS = 1024
MOST_CLASSES = 64 * 64
# Queries and items that one program of the kernel counts.
GROUP, TILE = 8, 2048
# Queries that one launch counts. Blocks are either of 256 queries or all within the first launch: none lies in two.
ROWS = 8192


def find_device(problem: Problem, bits: int) -> str | None:
    """The device to count on, or None for the processor. `bits` is K.

    The current CUDA device is taken if there is one, with Triton, and the problem has at least 10^9 pairs of query and
    item (in a process that has not imported PyTorch, at least 10^10), at most 1,024 bits and 4,096 classes.
    """
    pairs, classes = len(problem.queries) * problem.gallery.shape[1], len(problem.labels.class_starts) - 1
    if pairs < (LARGE if "torch" in sys.modules else HUGE) or bits > MOST_BITS or classes > MOST_CLASSES:
        return None
    cuda = importlib.import_module("torch").cuda if find_spec("triton") else None
    if cuda is None or not cuda.is_available():
        return None
    # By number: the threads that will count do not begin with the caller's device.
    return f"cuda:{cuda.current_device() if cuda.is_initialized() else 0}"


class DeviceCounter:
    """Counts blocks of queries of one problem on a PyTorch device; called as a `blocks.Counter`, with blocks in order.

    Device memory: the codes and the labels, as bits, and the counts of `ROWS` queries. Where the device refuses (memory
    that others use, a compiler that Triton does not find), the processor counts, which one line says.
    """

    def __init__(self, problem: Problem, bits: int, device: str, processor: Counter) -> None:
        """`bits` is K; `device` is a name that PyTorch knows; `processor` counts where the device refuses."""
        self._torch: Any = importlib.import_module("torch")
        self._problem, self._bits, self._device, self._processor = problem, bits, device, processor
        self._words: list[Any] = []  # of queries and gallery, codes and labels, moved with the first launch
        self._counted: dict[int, NDArray[np.int32]] = {}  # by number of the launch, the last two
        self._lock = Lock()  # Triton compiles at the first call, and must not do so twice at once
        self._refused = False

    def __call__(self, start: int, stop: int) -> Counts:
        """The counts of queries `start` to `stop` - 1."""
        launch = start // ROWS
        with self._lock:
            if launch not in self._counted and not self._refused:
                self._launch(launch)
            counted = self._counted.get(launch)
        if counted is None:
            return self._processor(start, stop)
        irrelevant, relevant = counted[start - launch * ROWS : stop - launch * ROWS].transpose(1, 0, 2)
        return Counts(irrelevant + relevant, np.ascontiguousarray(relevant))

    def _launch(self, launch: int) -> None:
        """Count `ROWS` queries, and forget the launch before the last; or refuse from now on."""
        try:
            if not self._words:
                self._words = self._move()
            self._counted[launch] = self._count(launch * ROWS)
            self._counted.pop(launch - 2, None)
        except Exception as error:
            self._refused, self._words = True, []
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            say(f"the CUDA device does not evaluate ({one_line(reason)}); the processor does, with the same result")

    def _count(self, first: int) -> NDArray[np.int32]:
        """(b, 2, K + 1): the irrelevant and the relevant items at every distance of `ROWS` queries, or what is left."""
        codes, gallery, labels, gallery_labels = self._words
        codes, labels = codes[first : first + ROWS], labels[first : first + ROWS]
        rows, items, size = len(codes), gallery.shape[1], self._bits + 1
        counts = self._torch.zeros((rows, 2, size), dtype=self._torch.int32, device=self._device)
        kernel = importlib.import_module("bench.metrics.cuda_kernel").count_tiles
        # Triton launches on the current device of the thread.
        with self._torch.cuda.device_of(counts):
            kernel[-(-rows // GROUP), -(-items // TILE)](
                codes, gallery, labels, gallery_labels, counts,
                rows, items, len(gallery), len(gallery_labels), size,
                GROUP=GROUP, TILE=TILE, BINS=1 << (2 * size).bit_length(),
            )  # fmt: skip
        found: NDArray[np.int32] = counts.cpu().numpy()
        return found

    def _move(self) -> list[Any]:
        problem = self._problem
        labels = bit_planes(problem.labels, problem.gallery.shape[1])
        rows = (problem.queries, problem.gallery.T, labels.queries, labels.gallery.T)
        queries, gallery, query_labels, gallery_labels = map(self._row_words, rows)
        return [queries, gallery.T.contiguous(), query_labels, gallery_labels.T.contiguous()]

    def _row_words(self, rows: NDArray[np.uint8]) -> Any:
        """Rows of bytes (n, p) as rows of 32-bit words (n, ceil(p / 4)), on the device."""
        moved = self._torch.from_numpy(rows).to(self._device)
        padded = self._torch.nn.functional.pad(moved, (0, -rows.shape[1] % 4))
        return padded.contiguous().view(self._torch.int32)
