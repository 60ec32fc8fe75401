"""A masked auto-encoder whose bottleneck is a ±1 code per visible frame (ConMH, Wang et al., AAAI 2023).

Shapes: B videos, T frames (V visible, M hidden), D features, H channels of the encoder and P of the decoder, K bits.
"""

import torch
from torch import Tensor, nn

from bench.learning.layers import Dropout

from .binarise import HashLayer
from .transformer import EPSILON, Block, sinusoidal_positions, xavier
from .views import take

MASK_DEVIATION = 0.02


class MaskedEncoder(nn.Module):
    """Frame features (B, T, D) → mean frame codes (B, K) in [−1, 1]; the code is their sign."""

    positions: Tensor

    def __init__(self, frames: int, dimensions: int, bits: int, hidden: int, depth: int, heads: int) -> None:
        super().__init__()
        self.project = nn.Linear(dimensions, hidden)
        self.register_buffer("positions", sinusoidal_positions(frames, hidden), persistent=False)
        self.blocks = nn.Sequential(*(Block(hidden, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(hidden, EPSILON)
        self.head = nn.Linear(hidden, hidden)
        # The hash layer keeps torch's initial weights, as the authors' does.
        xavier(self.modules())
        self.hash = HashLayer(hidden, bits)

    def tokens(self, frames: Tensor, places: Tensor | None = None) -> Tensor:
        """Tokens (B, V, H) of the frames (B, V, D) that stand at `places` (B, V); without places: of all T frames."""
        projected: Tensor = self.project(frames)
        return projected + (self.positions if places is None else self.positions[places])

    def encoded(self, tokens: Tensor) -> Tensor:
        """The input of the hash layer: (B, V, H) → (B, V, H)."""
        encoded: Tensor = self.head(self.norm(self.blocks(tokens)))
        return encoded

    def forward(self, videos: Tensor) -> Tensor:
        codes: Tensor = self.hash(self.encoded(self.tokens(videos)))
        return codes.mean(dim=1)


class MaskedDecoder(nn.Module):
    """Restores the hidden frames of a video from the codes of its visible ones."""

    positions: Tensor

    def __init__(
        self,
        frames: int,
        dimensions: int,
        bits: int,
        width: int,
        depth: int,
        heads: int,
        *,
        learned_positions: bool = False,
    ) -> None:
        super().__init__()
        if learned_positions:
            self.positions = nn.Parameter(torch.zeros(1, frames, width))
        else:
            self.register_buffer("positions", sinusoidal_positions(frames, width)[None], persistent=False)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, EPSILON)
        self.head = nn.Linear(width, dimensions)
        xavier(self.modules())
        # Keeps torch's initial weights, as the authors' does.
        self.embed = nn.Linear(bits, width, bias=False)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        nn.init.trunc_normal_(self.mask_token, std=MASK_DEVIATION, a=-MASK_DEVIATION, b=MASK_DEVIATION)

    def tokens(self, codes: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """The visible frames' codes (B, V, K) as tokens, then one mask token a hidden frame: (B, V + M, P)."""
        masked = self.mask_token.expand(len(codes), hidden.shape[1], -1)
        positions = self.positions.expand(len(codes), -1, -1)
        return torch.cat([self.embed(codes), masked], dim=1) + take(positions, torch.cat([visible, hidden], dim=1))

    def forward(self, codes: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """The frames `hidden` (B, M), restored from the codes (B, V, K) of the frames `visible` (B, V): (B, M, D)."""
        tokens = self.blocks(self.tokens(codes, visible, hidden))[:, visible.shape[1] :]
        restored: Tensor = self.head(self.norm(tokens))
        return restored


class MaskedAutoencoder(nn.Module):
    """The encoder and its decoder, which is used to train alone."""

    def __init__(self, encoder: MaskedEncoder, decoder: MaskedDecoder, input_dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.dropout = Dropout(input_dropout)

    def forward(self, videos: Tensor, visible: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Two views of every video (B, T, D), that see the frames `visible` (B, 2, V) and restore `hidden` (B, 2, M).

        Returns mean codes (2·B, K), restored frames (2·B, M, D), and those frames as they are (2·B, M, D); the two
        views of a video follow each other.
        """
        # Nothing depends on the rest of the batch, so all views pass as one; hidden frames are not even projected.
        seen, targets = (
            take(videos, places.flatten(1)).view(-1, places.shape[2], videos.shape[2]) for places in (visible, hidden)
        )
        places, hidden = visible.flatten(0, 1), hidden.flatten(0, 1)
        codes = self.encoder.hash(self.encoder.encoded(self.encoder.tokens(self.dropout(seen), places)))
        return codes.mean(dim=1), self.decoder(codes, places, hidden), targets
