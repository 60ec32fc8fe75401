"""From video files to feature folders: decoding, frame sampling, backbones. Needs the extra `vhbench[video]`."""

from importlib.util import find_spec

from bench.base.errors import InputError


def can_decode() -> bool:
    """Whether the extra is installed."""
    return find_spec("av") is not None and find_spec("PIL") is not None


def require_decoder() -> None:
    """InputError unless the extra is installed."""
    if not can_decode():
        raise InputError(
            'videos are decoded by PyAV, which is not installed; install it with pip install "vhbench[video]"'
        )
