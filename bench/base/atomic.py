"""Files and folders that are whole or absent: written under a hidden name beside, synced to disk, then renamed."""

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path


def hidden(path: Path) -> Path:
    """A hidden name beside `path` that nobody else uses."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left under `hidden` names of `path`; one that still writes there fails."""
    for left in path.parent.glob(f".{escape(path.name)}.{'[0-9a-f]' * 8}"):
        remove(left)


def replace(written: Path, path: Path) -> None:
    """Move a complete file to `path`, replacing what is there."""
    sync(written)
    written.replace(path)
    sync(path.parent)


def rename(written: Path, path: Path) -> None:
    """Move a complete folder to `path`. Raises OSError if a file or a non-empty folder is there."""
    sync_tree(written)
    written.rename(path)
    sync(path.parent)


@contextmanager
def new_file(path: Path, beside: Path | None = None) -> Iterator[Path]:
    """An empty file to write, which replaces `path` when the block ends, and is removed after an error.

    `beside` is its name until then, for callers that must know it.
    """
    beside = beside or hidden(path)
    try:
        beside.write_bytes(b"")
        mode = beside.stat().st_mode
        yield beside
        # safetensors puts a file there that only its owner may read.
        if beside.stat().st_mode != mode:
            beside.chmod(mode)
        replace(beside, path)
    except BaseException:
        remove(beside)
        raise


def write_file(path: Path, content: bytes, beside: Path | None = None) -> None:
    """Write a whole file as `new_file` does."""
    with new_file(path, beside) as written:
        written.write_bytes(content)


@contextmanager
def new_folder(path: Path, beside: Path | None = None, put: Callable[[Path, Path], None] = rename) -> Iterator[Path]:
    """An empty folder to fill, which `put` moves to `path` when the block ends, and which is removed after an error.

    `beside` is its name until then, for callers that must know it.
    """
    beside = beside or hidden(path)
    remove(beside)
    try:
        beside.mkdir()
        yield beside
        put(beside, path)
    except BaseException:
        remove(beside)
        raise


def sync_tree(folder: Path) -> None:
    """Sync all files below a folder, and their names, to disk."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with its content, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Sync the bytes of a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot sync folders.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
