"""Times of a query in an index of a million and of ten million codes: `python -m tests.benchmarks.search_at_size`.

`OMP_NUM_THREADS=1` keeps to one thread; on a busy machine processor times tell more than durations do. Peak memory is
that of the whole process, of which the codes made here and exact search beside take 16 bytes a code.

Codes of 64 bits lie around centres, as those of real videos do: a hundred around each, a twentieth of the bits turned.
Of codes without any neighbours lists could not find the nearest. Queries are codes of the index, turned once more.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.encoding.code_file import CodeFile
from bench.metrics.codes import packed_bytes
from bench.search.index import create, open_index
from bench.search.lookup import look_up

BITS, QUERIES, AROUND, TURNED = 64, 1000, 100, 0.05


def turned(octets: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """The codes with each bit turned with the probability `TURNED`."""
    flips = np.zeros_like(octets)
    for bit in range(8):
        flips |= (random.random(octets.shape, dtype=np.float32) < TURNED).astype(np.uint8) << np.uint8(bit)
    return octets ^ flips


def shown(times: list[tuple[float, float]]) -> str:
    """The medians of durations and of processor times."""
    took, spent = 1e3 * np.median(times, axis=0)
    return f"{took:.2f} ms ({spent:.2f} of the processor's)"


def measure(count: int, folder: Path) -> str:
    """A line on an index of so many codes."""
    random = np.random.default_rng(0)
    centres = random.integers(0, 256, (count // AROUND, BITS // 8), dtype=np.uint8)
    octets = turned(np.repeat(centres, AROUND, axis=0), random)
    begin = time.process_time()
    create(CodeFile(packed_bytes(octets, BITS), None), folder)
    built = time.process_time() - begin
    begin = time.perf_counter()
    index = open_index(folder)
    opened = time.perf_counter() - begin
    queries = turned(octets[random.choice(count, QUERIES)], random)
    exact = faiss.IndexBinaryFlat(BITS)
    exact.add(octets)
    times, plain, found = [], [], 0
    for query in queries:
        begin, spent = time.perf_counter(), time.process_time()
        (hits,) = look_up(index, packed_bytes(query[None], BITS), 10)
        times.append((time.perf_counter() - begin, time.process_time() - spent))
        begin, spent = time.perf_counter(), time.process_time()
        distances, _ = exact.search(query[None], 10)
        plain.append((time.perf_counter() - begin, time.process_time() - spent))
        found += sum(hit.distance <= distances[0, -1] for hit in hits.hits)
    begin = time.perf_counter()
    look_up(index, packed_bytes(queries, BITS), 10)
    together = 1e3 * (time.perf_counter() - begin) / QUERIES
    kind: str = index.description.kind
    if kind == "lists":
        kind = f"{index.description.visited} of {index.faiss.nlist:,} lists"
    # Kilobytes on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    return (
        f"{count:,} codes, {kind}: {size:.0f} MB on disk, peak {peak:.0f} MB in memory;\n"
        f"    made in {built:.0f} s of processor time, opened in {opened:.2f} s;\n"
        f"    query alone {shown(times)}, of {QUERIES:,} at once {together:.2f} ms, by faiss, exact {shown(plain)}; "
        f"recall@10 {found / (10 * QUERIES):.4f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[1_000_000, 10_000_000])
    for count in parser.parse_args().counts:
        with tempfile.TemporaryDirectory() as place:
            print(measure(count, Path(place) / "index"), flush=True)
