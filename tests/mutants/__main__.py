"""Do the tests notice bugs? Seeds every listed one into a copy of the working tree and runs the tests that must fail.

python -m tests.mutants                    # all of them: some minutes
python -m tests.mutants evaluator "k-means"    # those whose names contain one of the words

Ends with status 1 where a bug is not caught, or a test fails without any.
"""

import os
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from .mutant import read_mutants
from .trial import copy_working_tree, run_clean, run_mutants

LARGE = ("torch", "sklearn.cluster", "lightning_fabric", "matplotlib.pyplot", "pandas", "faiss", "numba", "hypothesis",
         "scipy.io", "h5py", "onnxruntime", "fvcore.nn")  # fmt: skip
"""What every trial would spend seconds on importing, if the process that it is forked from had not."""
SHOWN = 3000


def main(words: list[str]) -> int:
    """Try the mutants whose names contain one of the words; without words all of them."""
    mutants = [mutant for mutant in read_mutants() if not words or any(word in mutant.name for word in words)]
    if not mutants:
        print(f"no mutant has a name with {' or '.join(words)}")
        return 2
    # Trials run side by side, and none may be forked from a process with threads.
    os.environ["OMP_NUM_THREADS"] = "1"
    for library in LARGE:
        with suppress(ImportError):
            import_module(library)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder) / "clean"
        copy_working_tree(tree)
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        print(f"without a bug: {len(tests)} files and tests", flush=True)
        clean = run_clean(tests, tree)
        if not clean.ran:
            print(f"{clean.output[-SHOWN:]}\nthe tests must run before bugs are seeded")
            return 1
        for test in clean.failed:
            print(f"fails without a bug, left out: {test}", flush=True)
        caught = 0
        for mutant, outcome in run_mutants(mutants, tree, clean.failed):
            caught += outcome.verdict == "caught"
            by = f"  [{outcome.failed[0]}]" if outcome.failed else ""
            print(f"{outcome.verdict:9} {outcome.seconds:5.1f} s  {mutant.name}{by}", flush=True)
            if not outcome.ran:
                print(outcome.output[-SHOWN:])
    print(f"{caught} of {len(mutants)} caught")
    return 0 if caught == len(mutants) and not clean.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
