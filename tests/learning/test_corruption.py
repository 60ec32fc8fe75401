"""Corruption of frames, beside one frame after the other."""

import numpy as np
import pytest
import torch

from bench.learning.items import draw_corruption

BATCH, FRAMES, DIMENSIONS, VIDEOS = 7, 5, 3, 20
PLACES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.0, 0.15, 1.0])
def test_every_frame_is_kept_zeroed_or_replaced(rate: float, dtype: torch.dtype, place: str) -> None:
    features = torch.randn(VIDEOS, FRAMES, DIMENSIONS, generator=torch.Generator().manual_seed(0)).to(dtype)
    rows = torch.arange(BATCH) * 2
    plan = draw_corruption(np.random.default_rng(1), BATCH, FRAMES, np.arange(VIDEOS), rate)
    replacements = features[plan.source_video, plan.source_frame]
    found = plan.apply(features[rows].to(place), replacements.to(place)).cpu()
    expected = torch.zeros_like(found)
    replaced = {(item, frame): number for number, (item, frame) in enumerate(zip(plan.item, plan.frame, strict=True))}
    for item in range(BATCH):
        for frame in range(FRAMES):
            if (item, frame) in replaced:
                expected[item, frame] = replacements[replaced[item, frame]]
            elif plan.kept[item, frame]:
                expected[item, frame] = features[rows[item], frame]
    assert torch.equal(found, expected)
    assert plan.kept.all() == (rate == 0)
    assert replaced or rate < 1
