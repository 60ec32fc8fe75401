"""A masked auto-encoder whose views see the frames that Grade-Net chooses: `sampler="grade"`.

Shapes: B videos, T frames, V visible ones, D features, K bits.
"""

import torch
from torch import Tensor

from ..shared.autoencoder import MaskedAutoencoder, MaskedDecoder, MaskedEncoder
from ..shared.transformer import xavier
from ..shared.views import take
from .sampler import GradeNet, choose_frames


class GradedAutoencoder(MaskedAutoencoder):
    """The auto-encoder with the sampler, which encoding does not use.

    As the paper's figure draws it; the authors' code does not train it. Both views choose among all frames, with noise
    of their own, and restore all frames; the decoder knows which frames a view sees, as it does with random masks.
    """

    def __init__(self, encoder: MaskedEncoder, decoder: MaskedDecoder, input_dropout: float) -> None:
        super().__init__(encoder, decoder, input_dropout)
        self.sampler = GradeNet(encoder.head.out_features)
        xavier(self.sampler.modules())

    def forward_graded(self, videos: Tensor, noise: Tensor, visible: int) -> tuple[Tensor, Tensor]:
        """Two views of every video (B, T, D) that see `visible` frames each, chosen with `noise` (B, 2, T).

        Returns mean codes (2·B, K) and all frames restored (2·B, T, D), in temporal order; the two views of a video
        follow each other.
        """
        views = []
        for own in noise.unbind(dim=1):
            tokens = self.encoder.tokens(self.dropout(videos))
            views.append(choose_frames(tokens, self.sampler(tokens), own, visible))
        seen, hidden, tokens = (torch.stack(parts, dim=1).flatten(0, 1) for parts in zip(*views, strict=True))
        codes = self.encoder.hash(self.encoder.encoded(tokens))
        decoder = self.decoder
        places = torch.cat([seen, hidden], dim=1).argsort(dim=1)
        slots = take(decoder.tokens(codes, seen, hidden), places)
        return codes.mean(dim=1), decoder.head(decoder.norm(decoder.blocks(slots)))
