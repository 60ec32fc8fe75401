"""SSTH's encoder and its three decoders. Shapes: B videos, T frames, D features, K bits."""

from typing import NamedTuple

from torch import Tensor, nn

from ..shared.recurrent import InferenceRecurrence, ReadOut, Recurrence, Trace


class Decoded(NamedTuple):
    """The frames that three decoders read out."""

    backward: Tensor
    """(B, T, D), the last frame first."""
    forward: Tensor
    """(B, T, D)."""
    mean: Tensor
    """The mean frame, (B, D)."""


class SsthEncoder(nn.Module):
    """Frame features (B, T, D) → h after the last frame (B, K); the code is its sign."""

    def __init__(self, frames: int, dimensions: int, bits: int) -> None:
        super().__init__()
        self.cells = Recurrence(frames, bits, dimensions, binary=True)

    def forward(self, videos: Tensor) -> Tensor:
        trace: Trace = self.cells(videos)
        return trace.hidden[:, -1]

    def inference_module(self) -> nn.Module:
        """The same function for encoding, faster."""
        return InferenceSsth(self)


class InferenceSsth(nn.Module):
    """The encoder as encoding runs it."""

    def __init__(self, encoder: SsthEncoder) -> None:
        super().__init__()
        self.cells = InferenceRecurrence(encoder.cells)

    def forward(self, videos: Tensor) -> Tensor:
        hidden: Tensor = self.cells(videos)
        return hidden[:, -1]


class SsthDecoder(nn.Module):
    """Frames (B, S, D) from the encoder's last state."""

    def __init__(self, steps: int, dimensions: int, bits: int) -> None:
        super().__init__()
        self.cells = Recurrence(steps, bits)
        self.read = ReadOut(bits, dimensions)

    def forward(self, state: tuple[Tensor, Tensor]) -> Tensor:
        frames: Tensor = self.read(self.cells(state).hidden)
        return frames


class SsthNetwork(nn.Module):
    """The encoder, and the decoders that play a video, rewind it and give its mean frame."""

    def __init__(self, frames: int, dimensions: int, bits: int) -> None:
        super().__init__()
        self.encoder = SsthEncoder(frames, dimensions, bits)
        self.backward_decoder = SsthDecoder(frames, dimensions, bits)
        self.forward_decoder = SsthDecoder(frames, dimensions, bits)
        self.mean_decoder = SsthDecoder(1, dimensions, bits)

    def forward(self, videos: Tensor) -> Decoded:
        state = self.encoder.cells(videos).state
        return Decoded(self.backward_decoder(state), self.forward_decoder(state), self.mean_decoder(state).squeeze(1))


def squared_errors(decoded: Decoded, videos: Tensor) -> dict[str, Tensor]:
    """Sums of squared errors over all frames and features of the batch, by decoder."""
    frames = videos.float()
    return {
        "backward": (frames.flip(1) - decoded.backward).square().sum(),
        "forward": (frames - decoded.forward).square().sum(),
        "mean": (frames.mean(dim=1) - decoded.mean).square().sum(),
    }
