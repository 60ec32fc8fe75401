"""Encoding times on a fake clock: what is found is what the fake networks take."""

from itertools import count

import pytest
import torch
from torch import Tensor, nn

from bench.profile import machine as rates
from bench.profile.costs import Subject, signature
from bench.profile.encoding import BATCHES, Job, random_videos, time_encoders, time_modules
from bench.profile.operators import attainable_rate, moved_bytes, needed_seconds
from bench.profile.timing import HostStopwatch, Work

from .fakes import FakeClock, SlowNetwork

CPU = torch.device("cpu")


def test_latency_throughput_and_best_batch() -> None:
    clock = FakeClock()
    videos = random_videos(5, 8)
    jobs = [
        Job(SlowNetwork(clock, fixed=0.002, each=0.001).eval(), videos),
        Job(SlowNetwork(clock, fixed=0.010, each=0.001).eval(), videos),
    ]
    found = time_encoders(jobs, CPU, watch=lambda _: HostStopwatch(clock))
    for times, fixed in zip(found, (2.0, 10.0), strict=True):
        assert isinstance(times, list)
        assert [place.threads for place in times] == sorted({1, torch.get_num_threads()})
        for place in times:
            assert (place.device, place.with_transfer) == ("cpu", [])
            assert [timing.batch for timing in place.sweep] == list(BATCHES)
            for timing in place.sweep:
                assert timing.median_ms == pytest.approx((fixed + timing.batch) / timing.batch, rel=1e-5)
                assert not timing.noisy
            assert place.single.batch == 1
            assert place.best.batch == BATCHES[-1]
        # Parts are timed by the real clock, in the last setting alone.
        assert set(times[-1].modules) == {"project", "rest"}


def test_the_clock_runs_while_the_prepared_tensor_is_encoded_and_no_longer() -> None:
    """Nothing is read, copied or converted: the network alone, in evaluation and inference mode."""
    events: list[str] = []

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project = nn.Linear(8, 4)

        def forward(self, given: Tensor) -> Tensor:
            assert torch.is_inference_mode_enabled()
            assert not self.training
            # The very memory that was filled beforehand, from its first video on.
            assert given.data_ptr() == videos.data_ptr()
            assert given.shape[1:] == videos.shape[1:]
            events.append(f"encode {len(given)}")
            projected: Tensor = self.project(given.mean(dim=1))
            return projected

    def clock() -> float:
        events.append("clock")
        return float(len(events))

    videos = random_videos(5, 8)
    subject = Subject("toy", Watching(), Watching(), 4, 5, 8)
    (times,) = time_encoders([Job(subject.module, videos)], CPU, watch=lambda _: HostStopwatch(clock))
    assert isinstance(times, list)
    while "clock" in events:
        begin = events.index("clock")
        end = events.index("clock", begin + 1)
        # Of the rates of the machine nothing is encoded.
        assert end - begin <= 2
        del events[: end + 1]
    assert {timing.batch for timing in times[0].sweep} == set(BATCHES)


@pytest.mark.parametrize("step", ["measure_rates", "_parts"])
def test_a_device_without_memory_is_every_encoders_reason(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(f"bench.profile.encoding.{step}", full)
    clock = FakeClock()
    jobs = [Job(SlowNetwork(clock, 0.002, 0.001).eval(), random_videos(5, 8)) for _ in range(2)]
    found = time_encoders(jobs, CPU, watch=lambda _: HostStopwatch(clock))
    assert [str(error) for error in found] == ["CUDA out of memory"] * 2


def test_the_threads_are_set_and_given_back() -> None:
    clock, seen = FakeClock(), set()

    class Watching(SlowNetwork):
        def forward(self, videos: Tensor) -> Tensor:
            seen.add(torch.get_num_threads())
            return super().forward(videos)

    before = torch.get_num_threads()
    time_encoders([Job(Watching(clock, 0.001, 0.001).eval(), random_videos(2, 8))], CPU,
                  watch=lambda _: HostStopwatch(clock))  # fmt: skip
    assert seen == {1, before}
    assert torch.get_num_threads() == before


def test_an_encoder_that_fails_is_told_apart() -> None:
    clock = FakeClock()

    class Broken(nn.Module):
        def forward(self, videos: Tensor) -> Tensor:
            if len(videos) > 4:
                raise RuntimeError("too many")
            return videos

    videos = random_videos(2, 8)
    jobs = [Job(Broken(), videos), Job(SlowNetwork(clock, 0.001, 0.001).eval(), videos)]
    broken, sound = time_encoders(jobs, CPU, watch=lambda _: HostStopwatch(clock))
    assert isinstance(broken, RuntimeError)
    assert isinstance(sound, list)
    assert len(sound) == len({1, torch.get_num_threads()})


def test_parts_and_the_rest_make_the_whole() -> None:
    clock = FakeClock()

    class Slow(nn.Module):
        def __init__(self, seconds: float) -> None:
            super().__init__()
            self.seconds = seconds

        def forward(self, x: Tensor) -> Tensor:
            clock.now += self.seconds
            return x

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Slow(0.010), nn.Sequential(Slow(0.002), Slow(0.004))
            self.third = nn.ModuleList([Slow(0.001), Slow(0.001)])

        def forward(self, x: Tensor) -> Tensor:
            clock.now += 0.003
            for part in self.third:
                x = part(x)
            return self.first(self.second(self.first(x)))

    log: list[str] = []
    found = time_modules(Network(), torch.zeros(10, 2, 3), lambda: log.append("wait"), clock)
    assert found == pytest.approx({"first": 2.0, "second": 0.6, "third": 0.2, "rest": 0.3}, rel=1e-4)
    assert len(log) > 0


def test_an_interruption_moves_no_part() -> None:
    """What takes a second now and then, because something else ran, has the time that it takes otherwise."""
    clock, calls = FakeClock(), count()

    class Interrupted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            clock.now += 1.0 if next(calls) % 4 == 2 else 0.010
            return x

    found = time_modules(nn.Sequential(Interrupted()), torch.zeros(10, 2, 3), clock=clock)
    assert found == pytest.approx({"0": 1.0, "rest": 0.0}, abs=1e-4)


def test_a_machine_is_as_fast_as_in_its_best_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rates.SIZES, "cpu", (8, 4, 64))
    # Three things are measured; the first repeat of each, which may be anything, does not count.
    taken = iter([0.5, 5.0, 4.0, 2.0, 3.0, 6.0] * 3)

    def watch(work: Work) -> float:
        work()
        return next(taken)

    found = rates.measure_rates(CPU, watch)
    assert (found.float32, found.bfloat16, found.copy_bytes) == (8**3 / 2, 4**3 / 2, 2 * 64 / 2)
    assert next(taken, None) is None


def test_what_a_machine_needs_by_hand() -> None:
    # 4 bytes of 10 × 100 features and 64 outputs, and a hundredth of the weights.
    assert moved_bytes(10, 100, 64, 8000, 100) == 4 * (1000 + 64) + 80
    assert needed_seconds(5e9, 1e6, product_rate=1e10, copy_rate=1e9) == 0.5
    assert needed_seconds(1e6, 1e9, product_rate=1e10, copy_rate=1e9) == 1.0
    assert attainable_rate(2, product_rate=1e10, copy_rate=1e9) == 2e9
    assert attainable_rate(20, product_rate=1e10, copy_rate=1e9) == 1e10


def test_modules_that_are_alike() -> None:
    class Step(nn.Linear):
        def __init__(self, size: int, step: int) -> None:
            super().__init__(size, size)
            self.step = step

    assert signature(Step(4, 1)) == signature(Step(4, 1).eval())  # other weights, same work
    assert signature(Step(4, 1)) != signature(Step(4, 2))
    assert signature(Step(4, 1)) != signature(Step(5, 1))
    assert signature(nn.Sequential(nn.ReLU())) != signature(nn.Sequential(nn.GELU()))
    assert signature(nn.GELU()) != signature(nn.GELU(approximate="tanh"))
    assert signature(nn.Linear(2, 2).double()) != signature(nn.Linear(2, 2))
