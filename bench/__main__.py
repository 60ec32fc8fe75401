"""`python -m bench`: the command line, where its script is not on the path."""

import os
import sys

if __name__ == "__main__":
    # `-m` puts the working folder first: a random.py there would replace Python's own.
    if not sys.flags.safe_path and sys.path[0] != os.path.dirname(os.path.dirname(__file__)):  # noqa: PTH120
        del sys.path[0]
    from bench.cli import main

    sys.exit(main())
