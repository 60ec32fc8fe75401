"""EfficientNet-Lite0, the small network whose pretrained weights come in a Python package.

Tan and Le, ICML 2019, without squeeze-and-excitation and with ReLU6, as Google released it in 2020. Names of modules
are those in the package's file.
"""

import torch
from torch import nn
from torch.nn import functional

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel size, stride of the first block, expansion, channels."""
STEM, DIMENSIONS = 32, 1280


class SamePad(nn.Conv2d):
    """A convolution that pads as TensorFlow does: with stride 2 and even sizes, more on the right and at the bottom."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inside, outside, kernel, stride, groups=groups, bias=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        sides: list[int] = []
        for size in (pixels.shape[3], pixels.shape[2]):
            whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides += [whole // 2, whole - whole // 2]
        return super().forward(functional.pad(pixels, sides))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """An inverted bottleneck: widen, filter every channel, narrow; added to the input where the shapes agree."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        self._expands, self._adds = expansion > 1, stride == 1 and inside == outside
        if self._expands:
            self._expand_conv, self._bn0 = SamePad(inside, wide, 1), _norm(wide)
        self._depthwise_conv, self._bn1 = SamePad(wide, wide, kernel, stride, groups=wide), _norm(wide)
        self._project_conv, self._bn2 = SamePad(wide, outside, 1), _norm(outside)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        found = functional.relu6(self._bn0(self._expand_conv(maps))) if self._expands else maps
        found = functional.relu6(self._bn1(self._depthwise_conv(found)))
        found = self._bn2(self._project_conv(found))
        return found + maps if self._adds else found


class EfficientNetLite0(nn.Module):
    """(n, 3, 224, 224) frames → (n, 1280) pooled features; `_fc` is the classifier of ImageNet's 1000 classes."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SamePad(3, STEM, 3, 2), _norm(STEM)
        blocks: list[Block] = []
        inside = STEM
        for count, kernel, stride, expansion, outside in STAGES:
            for number in range(count):
                blocks.append(Block(inside, outside, kernel, 1 if number else stride, expansion))
                inside = outside
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SamePad(inside, DIMENSIONS, 1), _norm(DIMENSIONS)
        self._fc = nn.Linear(DIMENSIONS, 1000)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        maps = functional.relu6(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks:
            maps = block(maps)
        return functional.relu6(self._bn1(self._conv_head(maps))).mean(dim=(2, 3))
