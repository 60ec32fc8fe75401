"""DKPH's two streams (Li et al., ECCV 2022). Shapes: B videos, T frames, D features, H hidden channels, K bits."""

from torch import Tensor, nn

from bench.learning.layers import ChannelProduct

from ..bth.inference import InferenceFrames
from ..bth.network import FrameEncoder
from ..shared.binarise import binarise


class DkphEncoder(FrameEncoder):
    """Frame features (B, T, D) → real numbers (B, K), of all frames at once; the code is their sign."""

    def __init__(self, frames: int, dimensions: int, bits: int, hidden: int) -> None:
        super().__init__(frames, dimensions, hidden)
        self.hash = nn.Linear(frames * hidden, bits)

    def logits(self, hidden: Tensor) -> Tensor:
        """The values to binarise, from hidden states (B, T, H), end to end, → (B, K)."""
        logits: Tensor = self.hash(hidden.flatten(1))
        return logits

    def forward(self, videos: Tensor) -> Tensor:
        return self.logits(self.hidden(videos))

    def inference_module(self) -> nn.Module:
        """The same function for encoding, faster."""
        return InferenceDkph(self)


class InferenceDkph(InferenceFrames):
    """The encoder as encoding runs it."""

    def __init__(self, encoder: DkphEncoder) -> None:
        super().__init__(encoder)
        self.hash = ChannelProduct(encoder.hash.weight, encoder.hash.bias)

    def forward(self, videos: Tensor) -> Tensor:
        logits: Tensor = self.hash(self.hidden(videos).flatten(1))
        return logits.float()


class DkphNetwork(nn.Module):
    """The encoder, the temporal stream, and the decoder of both.

    The code holds what a video shows throughout: what single frames add is left to a vector each, used to train alone.
    """

    def __init__(self, frames: int, dimensions: int, bits: int, hidden: int) -> None:
        super().__init__()
        self.encoder = DkphEncoder(frames, dimensions, bits, hidden)
        self.temporal = nn.Linear(hidden, bits)
        self.decoder = nn.Linear(bits, dimensions)

    def forward(self, videos: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states (B, T, H), codes ±1 (B, K), restored frames (B, T, D)."""
        hidden = self.encoder.hidden(videos)
        codes = binarise(self.encoder.logits(hidden))
        return hidden, codes, self.decoder(codes[:, None] + self.temporal(hidden))
