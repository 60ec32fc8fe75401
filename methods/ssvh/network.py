"""SSVH's hierarchical encoder and its three decoders. Shapes: B videos, T frames, D features, K bits; S = T/2.

Of an odd number of frames the last is left out.
"""

import torch
from torch import Tensor, nn

from ..shared.recurrent import InferenceRecurrence, ReadOut, Recurrence, Trace
from ..ssth.network import Decoded


def used_frames(frames: int) -> int:
    """T: the largest even number of frames."""
    return frames - frames % 2


class SsvhEncoder(nn.Module):
    """Frame features (B, T or T + 1, D) → the high encoder's last h (B, K); the code is its sign."""

    def __init__(self, frames: int, dimensions: int, bits: int) -> None:
        super().__init__()
        self.frames = used_frames(frames)
        self.low = Recurrence(self.frames, bits, dimensions)
        self.high = Recurrence(self.frames // 2, bits, bits, binary=True)

    def trace(self, videos: Tensor) -> Trace:
        """The states of the high encoder, which reads every second state of the low one."""
        low: Trace = self.low(videos[:, : self.frames])
        high: Trace = self.high(low.hidden[:, 1::2])
        return high

    def forward(self, videos: Tensor) -> Tensor:
        return self.trace(videos).hidden[:, -1]

    def inference_module(self) -> nn.Module:
        """The same function for encoding, faster."""
        return InferenceSsvh(self)


class InferenceSsvh(nn.Module):
    """The encoder as encoding runs it."""

    def __init__(self, encoder: SsvhEncoder) -> None:
        super().__init__()
        self.frames = encoder.frames
        self.low, self.high = InferenceRecurrence(encoder.low), InferenceRecurrence(encoder.high)

    def forward(self, videos: Tensor) -> Tensor:
        hidden: Tensor = self.high(self.low(videos[:, : self.frames])[:, 1::2])
        return hidden[:, -1]


class LowDecoder(nn.Module):
    """Frames (B, T, D) from the states of high decoders (B, T, K)."""

    def __init__(self, steps: int, dimensions: int, bits: int) -> None:
        super().__init__()
        self.cells = Recurrence(steps, bits, bits)
        self.read = ReadOut(bits, dimensions)

    def forward(self, states: Tensor) -> Tensor:
        frames: Tensor = self.read(self.cells(states).hidden)
        return frames


class SsvhNetwork(nn.Module):
    """The encoder, and three decoders: a high one each, which begins with its last state, and a low one after it."""

    def __init__(self, frames: int, dimensions: int, bits: int, *, crossed_forward: bool = False) -> None:
        super().__init__()
        self.crossed_forward = crossed_forward
        self.encoder = SsvhEncoder(frames, dimensions, bits)
        steps = self.encoder.frames
        self.high_backward, self.low_backward = Recurrence(steps // 2, bits), LowDecoder(steps, dimensions, bits)
        self.high_forward, self.low_forward = Recurrence(steps // 2, bits), LowDecoder(steps, dimensions, bits)
        self.high_mean, self.low_mean = Recurrence(1, bits), LowDecoder(1, dimensions, bits)

    def forward(self, videos: Tensor) -> tuple[Tensor, Decoded]:
        """The encoder's last h (B, K), and the frames that the decoders read out."""
        trace = self.encoder.trace(videos)
        backward, onward, mean = (
            high(trace.state).hidden for high in (self.high_backward, self.high_forward, self.high_mean)
        )
        second = backward if self.crossed_forward else onward
        decoded = Decoded(
            backward=self.low_backward(alternate(backward, backward)),
            forward=self.low_forward(alternate(onward, second)),
            mean=self.low_mean(mean).squeeze(1),
        )
        return trace.hidden[:, -1], decoded


def alternate(first: Tensor, second: Tensor) -> Tensor:
    """The states of two recurrences in turn: 2·(B, S, K) → (B, 2·S, K)."""
    return torch.stack([first, second], dim=2).flatten(1, 2)
