"""Room on the disk, asked for before something large is written."""

import shutil
from pathlib import Path

from bench.errors import InputError


def require_space(folder: Path, needed: int, what: str, mend: str) -> None:
    """InputError with `mend` if the disk of `folder`, which need not exist yet, has less than `needed` bytes free."""
    free = free_space(folder)
    if needed > free:
        raise InputError(f"{folder}: {what} takes {gigabytes(needed)}, the disk has {gigabytes(free)} free; {mend}")


def free_space(folder: Path) -> int:
    """Bytes free on the disk of a folder, which need not exist yet."""
    place = folder.resolve()
    return shutil.disk_usage(next(path for path in (place, *place.parents) if path.exists())).free


def gigabytes(size: int) -> str:
    """A number of bytes as text, in decimal units as disks and downloads are sold."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
