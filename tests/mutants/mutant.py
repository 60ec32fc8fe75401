"""Seeded bugs: what one is, and the lists of them beside this file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

LISTS = Path(__file__).parent
ROOT = LISTS.parents[1]


@dataclass(frozen=True)
class Mutant:
    """One bug: a text of one source file, what takes its place, and the tests of which one at least must fail."""

    name: str
    """`<list>: <what is wrong>`."""
    file: str
    """The source file, relative to the repository."""
    old: str
    """Occurs once in the file."""
    new: str
    tests: tuple[str, ...]
    """As pytest takes them: `tests/metrics/test_golden.py`, or with `::test_name`."""

    def patched(self, root: Path) -> str:
        """The file below `root` with the bug in it. Raises ValueError unless the text occurs exactly once."""
        content = (root / self.file).read_text(encoding="utf-8")
        found = content.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: {self.old!r} occurs {found} times in {self.file}; it must occur once")
        return content.replace(self.old, self.new)


def read_mutants(folder: Path = LISTS) -> list[Mutant]:
    """The mutants of all lists (`*.toml`) in a folder, in order."""
    return [
        Mutant(f"{path.stem}: {entry.pop('name')}", tests=tuple(entry.pop("tests")), **entry)
        for path in sorted(folder.glob("*.toml"))
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    ]
