"""Encoding times of many encoders, measured in turn, by threads, device and batch size."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bench.encoding.replayed import replayed
from bench.profile.cost_types import REST, EncodingTimes, Timing
from bench.profile.machine import Others, measure_rates
from bench.profile.timing import Stopwatch, Work, interleave, stopwatch, timing

BATCHES = (1, 4, 16, 64, 256)
SECONDS = 1.5
"""Time to measure each encoder, over all settings and batch sizes; large encoders take longer."""
REPEATS = 7
WARM_UP = 1


class Job(NamedTuple):
    """An encoder's network, features (n, T, D) to (n, K), on the CPU, and random features to encode."""

    network: nn.Module
    videos: Tensor
    """(256, T, D), in the CPU's memory."""


class Repeat(NamedTuple):
    """A call to repeat: one batch of one job, with or without the copy to the GPU."""

    job: int
    batch: int
    transfer: bool


def random_videos(frames: int, dimensions: int) -> Tensor:
    """Features (256, T, D) from a standard normal distribution: times do not depend on the values."""
    return torch.randn(BATCHES[-1], frames, dimensions, generator=torch.Generator().manual_seed(0))


def time_encoders(
    jobs: Sequence[Job],
    device: torch.device,
    seconds: float = SECONDS,
    watch: Callable[[torch.device], Stopwatch] = stopwatch,
) -> list[list[EncodingTimes] | Exception]:
    """Time every job on the CPU with one thread and with all, and on `device` if it is a GPU; or return its error.

    Within a setting, all jobs and batch sizes take turns; parts are timed in the last. Networks are left on `device`.
    """
    settings = [(torch.device("cpu"), threads) for threads in sorted({1, torch.get_num_threads()})]
    if device.type == "cuda":
        settings.append((device, torch.get_num_threads()))
    times: dict[int, list[EncodingTimes]] = {number: [] for number in range(len(jobs))}
    failed: dict[int, Exception] = {}
    for place, threads in settings:
        going = {number: job for number, job in enumerate(jobs) if number not in failed}
        with _threads(threads), torch.inference_mode():
            found, broken = _time_on(place, threads, going, seconds * len(going) / len(settings), watch(place))
            failed |= broken
            for number, measured in found.items():
                times[number].append(measured)
    with _threads(threads), torch.inference_mode():
        for number in times.keys() - failed.keys():
            *others, last = times[number]
            try:
                parts = _parts(jobs[number], place, last.best.batch)
            except Exception as error:  # the device may be out of memory, as below
                failed[number] = error
            else:
                times[number] = [*others, last.model_copy(update={"modules": parts})]
    return [failed.get(number, times[number]) for number in times]


def _time_on(
    place: torch.device, threads: int, jobs: Mapping[int, Job], seconds: float, watch: Stopwatch
) -> tuple[dict[int, EncodingTimes], dict[int, Exception]]:
    works: dict[Repeat, Work] = {}
    failed: dict[int, Exception] = {}
    try:
        rates = measure_rates(place, watch)
        videos = {id(job.videos): job.videos.to(place) for job in jobs.values()}
    except Exception as error:  # other programs may have taken the GPU's memory
        return {}, dict.fromkeys(jobs, error)
    for number, job in jobs.items():
        try:
            job.network.to(place)
        except Exception as error:
            failed[number] = error
        else:
            works |= _works(number, job, videos[id(job.videos)])
    others = Others()
    samples, broken = interleave(works, watch, seconds)
    busy = others.share()
    failed |= {repeat.job: error for repeat, error in broken.items()}
    timings: dict[tuple[int, bool], list[Timing]] = defaultdict(list)
    for repeat, taken in samples.items():
        timings[repeat.job, repeat.transfer].append(timing(taken, repeat.batch))
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else "cpu"
    found = {
        number: EncodingTimes(
            device=name,
            threads=threads,
            rates=rates,
            others=busy,
            sweep=timings[number, False],
            with_transfer=timings[number, True],
        )
        for number in jobs
        if number not in failed
    }
    return found, failed


def _works(number: int, job: Job, there: Tensor) -> Iterator[tuple[Repeat, Work]]:
    """`there`: the job's videos where they are encoded."""
    network = replayed(job.network, there.device)
    for batch in BATCHES:
        yield Repeat(number, batch, False), partial(network, there[:batch])
        if there.device.type == "cuda":
            yield Repeat(number, batch, True), partial(_copy_and_encode, network, job.videos[:batch], there.device)


def _copy_and_encode(network: Callable[[Tensor], Tensor], videos: Tensor, place: torch.device) -> Tensor:
    return network(videos.to(place))


def _parts(job: Job, place: torch.device, batch: int) -> dict[str, float]:
    wait = (lambda: torch.cuda.synchronize(place)) if place.type == "cuda" else (lambda: None)
    return time_modules(job.network, job.videos[:batch].to(place), wait)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def time_modules(
    module: nn.Module,
    videos: Tensor,
    synchronise: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Milliseconds per video in each direct submodule and in `rest`, for a batch `videos` (n, T, D).

    Medians over repeats; all calls of a submodule, or of the entries of a `ModuleList`, are added, and `rest` is the
    time between them. The device is synchronised at each reading of the clock, so on a GPU the parts take longer than
    the whole.
    """
    rows: list[dict[str, float]] = []
    started: dict[str, float] = {}
    spent: dict[str, float] = defaultdict(float)

    def now() -> float:
        synchronise()
        return clock()

    def begin(name: str, *_: Any) -> None:
        started[name] = now()

    def end(name: str, *_: Any) -> None:
        spent[name] += now() - started[name]

    hooks = []
    for name, part in module.named_children():
        # A list is never called itself.
        for called in part if isinstance(part, nn.ModuleList) else [part]:
            hooks.append(called.register_forward_pre_hook(partial(begin, name)))
            hooks.append(called.register_forward_hook(partial(end, name)))
    try:
        for _ in range(WARM_UP + REPEATS):
            spent.clear()
            start = now()
            module(videos)
            whole = now() - start
            rows.append({**spent, REST: whole - sum(spent.values())})
    finally:
        for hook in hooks:
            hook.remove()
    measured = rows[WARM_UP:]
    return {name: float(np.median([row[name] for row in measured])) * 1000 / len(videos) for name in measured[0]}
