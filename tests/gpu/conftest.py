"""What only a CUDA device shows; skipped where there is none."""

import pytest
import torch

CUDA = torch.device("cuda")
HERE = torch.cuda.is_available()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a device there is nothing to test in this folder."""
    if not HERE:
        reason = pytest.mark.skip(reason="needs a CUDA device")
        for item in items:
            if item.path.parent.name == "gpu":
                item.add_marker(reason)
