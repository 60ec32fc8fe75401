"""BerVAE's network (Wang et al., AISTATS 2023). Shapes: B videos, T frames, D features, H hidden channels, K bits."""

from torch import Tensor, nn

from bench.learning.layers import ChannelProduct

from ..bth.inference import InferenceFrames
from ..bth.network import FrameEncoder


class BervaeEncoder(FrameEncoder):
    """Frame features (B, T, D) → mean logits (B, K) of the bits' probabilities; the code is their sign."""

    def __init__(self, frames: int, dimensions: int, bits: int, hidden: int) -> None:
        super().__init__(frames, dimensions, hidden)
        self.binary = nn.Linear(hidden, bits)

    def forward(self, videos: Tensor) -> Tensor:
        logits: Tensor = self.binary(self.hidden(videos))
        return logits.mean(dim=1)

    def inference_module(self) -> nn.Module:
        """The same function for encoding, faster."""
        return InferenceBervae(self)


class InferenceBervae(InferenceFrames):
    """The encoder as encoding runs it: the mean of the frames is taken before the last matrix."""

    def __init__(self, encoder: BervaeEncoder) -> None:
        super().__init__(encoder)
        self.binary = ChannelProduct(encoder.binary.weight, encoder.binary.bias)

    def forward(self, videos: Tensor) -> Tensor:
        logits: Tensor = self.binary(self.hidden(videos).mean(dim=1))
        return logits.float()


class BervaeNetwork(nn.Module):
    """The encoder, and a linear decoder that scales the one code of a video for every frame."""

    def __init__(self, frames: int, dimensions: int, bits: int, hidden: int) -> None:
        super().__init__()
        self.encoder = BervaeEncoder(frames, dimensions, bits, hidden)
        self.sequence_restore = nn.Linear(1, frames, bias=False)
        self.restore = nn.Linear(bits, dimensions)

    def decode(self, codes: Tensor) -> Tensor:
        """Frames (B, T, D) restored from codes ±1 (B, K): W·(v_t·b) + c."""
        scaled = self.sequence_restore(codes[:, :, None]).transpose(1, 2)
        restored: Tensor = self.restore(scaled)
        return restored

    def forward(self, videos: Tensor, uniforms: Tensor, straight_through: bool) -> tuple[Tensor, Tensor]:
        """Mean logits φ (B, K), and the frames (B, T, D) restored from one sample of every video's code.

        A bit is 1 where its uniform number (B, K) is below σ(φ). With `straight_through` the derivative of a sampled
        bit by its probability is taken to be 1; else no gradient of the frames reaches the encoder.
        """
        logits = self.encoder(videos).float()
        probabilities = logits.sigmoid()
        bits = (uniforms < probabilities).to(logits.dtype)
        if straight_through:
            bits = probabilities + (bits - probabilities).detach()
        return logits, self.decode(2 * bits - 1)
