"""The learning rate, against the authors' and by hand."""

import numpy as np
import pytest
from bench.methods.bth import BthParameters
from bench.methods.mcmsh import McmshParameters

from bench.learning.schedule import Schedule
from tests.conftest import GOLDEN


def test_rates_are_the_authors() -> None:
    with np.load(GOLDEN / "rates.npz") as truth:
        for method, parameters in (("mcmsh", McmshParameters()), ("bth", BthParameters())):
            found = [parameters.rate(int(epoch)) for epoch in truth["epoch"]]
            np.testing.assert_allclose(found, truth[method], rtol=1e-12, err_msg=method)
        assert len(truth["epoch"]) > 220


@pytest.mark.parametrize(
    ("epoch", "rate"),
    # 3e-4, times 0.9 every 20 epochs: 0.9^10 = 0.3486784401; after 0.9^11 = 0.31381059609 the floor is higher.
    [(0, 3e-4), (19, 3e-4), (20, 2.7e-4), (39, 2.7e-4), (40, 2.43e-4), (200, 1.046035320e-4), (219, 1.046035320e-4),
     (220, 1e-4), (300, 1e-4)],
)  # fmt: skip
def test_rates_by_hand(epoch: int, rate: float) -> None:
    assert Schedule.model_validate({}).rate(epoch) == pytest.approx(rate, rel=1e-9)


def test_parameters_of_the_rate() -> None:
    schedule = Schedule.model_validate({"learning_rate": 1.0, "learning_rate_decay": 0.5,
                                        "learning_rate_decay_epochs": 2, "learning_rate_floor": 0.2})  # fmt: skip
    assert [schedule.rate(epoch) for epoch in range(8)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]
    # A first rate below the floor stays.
    assert [Schedule.model_validate({"learning_rate": 1e-5}).rate(epoch) for epoch in (0, 20, 400)] == [1e-5] * 3


def test_the_papers_schedule() -> None:
    schedule = Schedule.model_validate({})
    assert (schedule.epochs, schedule.batch_size, schedule.validation_share) == (56, 256, 0.0)


def test_batches_cover_all_videos_but_a_last_one() -> None:
    schedule = Schedule.model_validate({"batch_size": 4})
    assert schedule.batches(8) == [slice(0, 4), slice(4, 8)]
    assert schedule.batches(10) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert schedule.batches(9) == [slice(0, 4), slice(4, 8)]
    assert schedule.batches(1) == []
