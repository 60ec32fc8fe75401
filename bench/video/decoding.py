"""Decoding in processes of their own, one for each video: a file can end its process, and nothing else.

Such a process has limits on processor time and memory that the system enforces, and answers in JSON and bytes.
"""

import hashlib
import math
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection as connections
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bench.base.errors import InputError
from bench.base.files import require_file
from bench.base.fork_context import fork_server_context
from bench.base.text import message_of
from bench.video.clip import VideoError, read_clip
from bench.video.preprocessing import Preprocessing

SECONDS, BYTES_A_SECOND = 3, 20_000
"""Processor time for every file, and how much of it has a second more: far more than any codec needs."""
STALLED = 4
"""Seconds of it in which another frame must come, however large the file is."""
FORESEEN = 2
"""Seconds of decoding after which the time for the rest is estimated."""
MEMORY = 10**9
"""Bytes that decoding may take, above what its process has at its start."""
SLOWEST = 20
"""Seconds for a second of processor time, on the busiest machine; a process that sleeps for longer never ends."""
POLL_SECONDS = 1.0


class Sampling(BaseModel):
    """What is taken from every video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int
    preprocessing: Preprocessing


class Facts(BaseModel):
    """What is known of a file after its decoding; times are in seconds."""

    size: int | None = None
    """Bytes."""
    sha256: str | None = None
    duration: float | None = None
    """Of the video that is in the file; None if it cannot be decoded."""
    declared: float | None = None
    """The duration that the file declares, if it does."""
    times: list[float] = []
    """When the frames taken appear, from the first frame of the video on."""
    damaged: int = 0
    """Frames taken that decode with errors, or not at all: the last good one before stands for them."""
    reason: str | None = None
    """Why there are no frames."""


@dataclass(frozen=True)
class Decoded:
    """The outcome for one video: its place in the list, the facts, and its frames (T, S, S, 3), if there are any."""

    number: int
    facts: Facts
    pixels: NDArray[np.uint8] | None


def decoded(videos: Sequence[Path], sampling: Sampling, jobs: int) -> Iterator[Decoded]:
    """Every video decoded, in the order in which they are done, `jobs` at a time.

    Memory does not grow with the number of videos, however slowly they are taken. Raises InputError if no process can
    be started.
    """
    waiting, done = deque(enumerate(videos)), deque[Decoded]()
    running: list[_Process] = []
    try:
        while waiting or running or done:
            connections.wait([process.pipe for process in running], 0 if done else POLL_SECONDS)
            for process in list(running):
                outcome = process.outcome()
                if outcome is not None:
                    running.remove(process)
                    done.append(outcome)
            while waiting and len(running) < jobs and len(done) <= jobs:
                running.append(_Process(*waiting.popleft(), sampling))
            # While this one is looked at, others are decoded.
            if done:
                yield done.popleft()
    finally:
        for process in running:
            process.end()


class _Process:
    """A process that decodes one video, seen from outside."""

    def __init__(self, number: int, path: Path, sampling: Sampling) -> None:
        self._number, self._facts = number, Facts()
        self._shape = sampling.frames, sampling.preprocessing.crop, sampling.preprocessing.crop, 3
        try:
            self._seconds = _seconds(path.stat().st_size)
        except (OSError, ValueError):
            self._seconds = SECONDS
        try:
            context = fork_server_context(["bench.video.clip", "bench.video.decoding"], 1)
            self.pipe, theirs = context.Pipe(duplex=False)
            arguments = (theirs, os.fspath(path), sampling.model_dump_json())
            self._process: ForkServerProcess = context.Process(target=_work, args=arguments)
            self._process.start()
        except (OSError, EOFError) as error:
            raise InputError(
                f"cannot start processes for decoding ({error or 'the first one ended at once'}); raise the limits on "
                "processes and open files (ulimit -u, -n), or use fewer --jobs"
            ) from error
        theirs.close()
        self._deadline = time.monotonic() + SLOWEST * self._seconds

    def outcome(self) -> Decoded | None:
        """The outcome, once there is one."""
        pixels = None
        try:
            while self._facts.reason is None and pixels is None and self.pipe.poll():
                self._facts = Facts.model_validate_json(self.pipe.recv_bytes())
                if self._facts.times:
                    pixels = np.frombuffer(self.pipe.recv_bytes(), np.uint8).reshape(self._shape)
        except (EOFError, OSError, ValueError):
            self._process.join(POLL_SECONDS)
            self._fail(self._cause_of_death())
        if self._facts.reason is None and time.monotonic() > self._deadline:
            self._fail("is not decoded after a long time; encode it again")
        if self._facts.reason is None and pixels is None:
            return None
        self.end()
        return Decoded(self._number, self._facts, pixels)

    def end(self) -> None:
        """Kill the process, if it has not ended."""
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _fail(self, reason: str) -> None:
        self._facts = Facts(size=self._facts.size, sha256=self._facts.sha256, reason=reason)

    def _cause_of_death(self) -> str:
        status = self._process.exitcode
        if status == -signal.SIGXCPU:
            each = f"{min(STALLED, self._seconds)} s of processor time for a frame"
            return f"takes more than {each}, or {self._seconds} s in all; encode it again"
        how = f"by signal {-status}" if status is not None and status < 0 else "without a result"
        return f"ended the process that decoded it, {how}; encode it again"


def _seconds(size: int) -> int:
    return SECONDS + size // BYTES_A_SECOND


def _work(pipe: Connection, name: str, sampling: str) -> None:
    """Decode a video. Sends the facts of the file, then those of its decoding, then the frames."""
    # What libraries print about a damaged file says nothing to the user.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    path, facts, pixels = Path(name), Facts(), None
    try:
        facts = _file_facts(path)
        # Known to the parent even if decoding ends this process.
        pipe.send_bytes(facts.model_dump_json().encode())
        require_file(path, "put it there, or leave it out")
        facts, pixels = _decode(path, facts, Sampling.model_validate_json(sampling))
    except BrokenPipeError:  # the program has ended
        return
    except (InputError, VideoError) as error:
        facts.reason = str(error).removeprefix(f"{path}: ")
    except MemoryError:
        facts.reason = f"takes more than {MEMORY / 1e9:g} GB of memory to decode; encode it with smaller frames"
    except Exception as error:  # whatever a library makes of a damaged file
        facts.reason = f"cannot be decoded ({type(error).__name__}: {message_of(error)}); encode it again"
    with suppress(BrokenPipeError):
        pipe.send_bytes(facts.model_dump_json().encode())
        if pixels is not None:
            pipe.send_bytes(pixels.tobytes())


def _file_facts(path: Path) -> Facts:
    """Size and digest of a file, if it is one that can be read."""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return Facts(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    return Facts()


def _decode(path: Path, facts: Facts, sampling: Sampling) -> tuple[Facts, NDArray[np.uint8]]:
    limits = _Limits(_seconds(facts.size or 0))
    with path.open("rb") as file:
        clip = read_clip(file, sampling.frames, sampling.preprocessing.pixels, limits.passed)
    known = {name: getattr(clip, name) for name in ("duration", "declared", "times", "damaged")}
    return facts.model_copy(update=known), clip.frames


class _Limits:
    """Limits of this process's processor time and memory, from here on."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        _lower(resource.RLIMIT_CPU, math.ceil(time.process_time()) + seconds)
        if sys.platform == "linux":
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY)
        self._most, self._hard = resource.getrlimit(resource.RLIMIT_CPU)
        self.passed(0)

    def passed(self, share: float) -> None:
        """Allow `STALLED` more seconds, since this share of the frames is passed; 0 where decoding begins.

        Raises VideoError if decoding all of them would take longer than a file of this size may.
        """
        now = time.process_time()
        if not share:
            self._begun = now
        elif now - self._begun > max(FORESEEN, share * self._seconds):
            foreseen = f"{(now - self._begun) / share:,.0f} s"
            raise VideoError(
                f"would take {foreseen} of processor time, and has {self._seconds:,} s by its size; encode it again"
            )
        resource.setrlimit(resource.RLIMIT_CPU, (min(self._most, math.ceil(now) + STALLED), self._hard))


def _lower(kind: int, limit: int) -> None:
    """Set a limit, unless a stricter one holds already."""
    soft, hard = resource.getrlimit(kind)
    if soft == resource.RLIM_INFINITY or limit < soft:
        resource.setrlimit(kind, (limit, hard))
