"""Storage of runs in the results folder, and errors that are the folder's fault and no run's."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors import SafetensorError

from bench.base.errors import InputError
from bench.store.record import RunRecord
from bench.store.store import Store
from bench.store.stored_run import StoredRun

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


class StorageError(InputError, OSError):
    """Results cannot be written. This is not a run's fault, and all other runs would fail as well."""

    def __init__(self, root: Path, why: str) -> None:
        super().__init__(f"{root}: results cannot be written ({why}); fix this and repeat the command to continue")
        self.why = why


def write(
    store: Store, record: RunRecord, fill: Callable[[Path], None], may_store: Callable[[], bool]
) -> StoredRun | None:  # fmt: skip
    """Store a run if it `may_store`, else return None. Raises StorageError if the results folder cannot be written."""
    if not may_store():
        return None
    try:
        return store.write(record, fill)
    except Exception as error:
        # Other errors are the method's fault, such as weights that cannot be saved.
        if any(_of_the_system(cause) for cause in _causes(error)):
            raise StorageError(store.root, _why(error)) from error
        raise


def require_method_fault(root: Path, error: BaseException) -> None:
    """StorageError if a full disk or the results folder caused an error, such as that a state could not be saved."""
    if _is_of_storage(root, error):
        raise StorageError(root, _why(error)) from error


def _is_of_storage(root: Path, error: BaseException) -> bool:
    for cause in _causes(error):
        if isinstance(cause, OSError):
            if cause.errno in FULL or Path(str(cause.filename)).is_relative_to(root):
                return True
        elif _of_the_system(cause):
            return True
    return False


def _of_the_system(error: BaseException) -> bool:
    # safetensors puts the system's error into a text.
    return isinstance(error, OSError) or (isinstance(error, SafetensorError) and "(os error " in str(error))


def _why(error: BaseException) -> str:
    cause = next(cause for cause in _causes(error) if _of_the_system(cause))
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error with its causes and contexts: closing a file that could not be written fails as well."""
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and not any(cause is one for one in seen):
        yield cause
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
