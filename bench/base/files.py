"""Files that users name: paths, readability, free space, and files left by operating systems."""

import errno
import os
import re
import shutil
import stat
from pathlib import Path

from bench.base.errors import InputError
from bench.base.text import message_of

# Enough to recognise a pointer to a large file, an archive or a web page.
HEAD_BYTES = 512
REASONS = {
    errno.EACCES: "you lack the permission; ask its owner for it (chmod), or name another",
    errno.EPERM: "you lack the permission; ask its owner for it (chmod), or name another",
    errno.EMFILE: "this process has too many files open; raise its limit (ulimit -n)",
    errno.ENFILE: "the system has too many files open; end other programs, or raise its limit",
    # HDF5 alone locks what it reads.
    errno.EAGAIN: "another program has it open for writing; wait until it is closed, or set "
    "HDF5_USE_FILE_LOCKING=FALSE to read it as it is now",
    errno.ENOLCK: "its file system has no locks; set HDF5_USE_FILE_LOCKING=FALSE",
    errno.EIO: "the disk or the network failed; try again, or from another disk",
    errno.ESTALE: "the network file system lost it, since it was replaced or its server restarted; try again",
    errno.ENOTCONN: "the network file system is not connected; mount it again",
    errno.ELOOP: "its links form a loop; put the file itself there",
    errno.ENAMETOOLONG: "the name is too long for this system; use a shorter one",
    errno.ENOMEM: "the system is out of memory; end other programs",
}
# Contents that are no data yet: packed files, and pointers in place of files.
OTHER_CONTENTS = {
    rb"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    rb"[./]*(\.git)?/annex/objects/": "a pointer of git-annex, not the file itself; fetch it with `git annex get`",
    rb"(?i)\s*<(!DOCTYPE html|html)": "a web page, not the file itself: its download failed; download it by hand",
    rb"\x1f\x8b\x08": "packed with gzip; unpack it",
    rb"BZh[1-9]1AY&SY": "packed with bzip2; unpack it",
    rb"\xfd7zXZ\x00": "packed with xz; unpack it",
    rb"\x28\xb5\x2f\xfd": "packed with Zstandard; unpack it",
    rb"7z\xbc\xaf\x27\x1c": "packed with 7-Zip; unpack it",
    rb"Rar!\x1a\x07": "packed with RAR; unpack it",
}
LITTER = re.compile(
    r"\.DS_Store|\._.*|\.AppleDouble|\.localized|Icon\r|\.Spotlight-V100|\.Trash.*|\.fseventsd"  # macOS
    r"|Thumbs\.db|ehthumbs.*\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information"  # Windows
    r"|\.directory|\.hidden|lost\+found|\.nfs.*|\.fuse_hidden.*|\.~lock\..*"  # Linux
    r"|@eaDir|#recycle|#snapshot|\.snapshots?|\.stfolder|\.sync",  # file servers
    re.IGNORECASE,
)


def require_file(path: Path, missing: str = "put it there, or name another one in dataset.toml") -> Path:
    """The path itself; InputError with the reason if there is no readable file with data.

    `missing` is the fix shown if there is no file.
    """
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise InputError(f"{path}: is a link to {_target(path)}, which is not there; {_fetch(path)}") from error
        fetch = "fetch it with `dvc pull`" if path.with_name(f"{path.name}.dvc").is_file() else missing
        raise InputError(f"{path}: no such file; {fetch}") from error
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(state.st_mode):
        what = "folder" if stat.S_ISDIR(state.st_mode) else "pipe or device"
        raise InputError(f"{path}: is a {what}, not a file; {missing}")
    if not state.st_size:
        raise InputError(f"{path}: the file is empty; download or export it again")
    other = other_content(path)
    if other:
        raise InputError(f"{path}: is {other}")
    return path


def other_content(path: Path) -> str | None:
    """A description of contents that are no data, with a fix; else None. Raises InputError if unreadable."""
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    return next((what for start, what in OTHER_CONTENTS.items() if re.match(start, head)), None)


class UnreadableError(InputError):
    """A file that the system cannot read now, whatever is in it."""


def unreadable(path: Path, error: Exception) -> UnreadableError:
    """The error to raise where the system cannot read a file."""
    number = error.errno if isinstance(error, OSError) else None
    message = os.strerror(number) if number else message_of(error)
    reason = REASONS.get(number) if number else None
    return UnreadableError(f"{path}: cannot be read ({message}){f': {reason}' if reason else ''}")


def unusable(path: Path, error: Exception, reason: str) -> InputError:
    """The error to raise where a library cannot read a file: the system's reason, else the one given."""
    return unreadable(path, error) if isinstance(error, OSError) and error.errno else InputError(f"{path}: {reason}")


def _target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return "nowhere"


def _fetch(path: Path) -> str:
    if ".git/annex/" in _target(path).replace(os.sep, "/"):
        return "fetch it with `git annex get`"
    return "put it there, or fetch it with the tool that made the link"


def is_litter(name: str) -> bool:
    """Whether an operating system left a file or folder of this name: it is ignored, and never removed."""
    return LITTER.fullmatch(name) is not None


def require_space(folder: Path, needed: int, what: str, fix: str) -> None:
    """InputError with `fix` if the disk of `folder`, which need not exist yet, has less than `needed` bytes free."""
    free = free_space(folder)
    if needed > free:
        raise InputError(f"{folder}: {what} takes {gigabytes(needed)}, the disk has {gigabytes(free)} free; {fix}")


def free_space(folder: Path) -> int:
    """Bytes free on the disk of a folder, which need not exist yet."""
    place = folder.resolve()
    return shutil.disk_usage(next(path for path in (place, *place.parents) if path.exists())).free


def gigabytes(size: int) -> str:
    """A number of bytes as text, in decimal units."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
