"""From a frame to the input of a network: resized, cropped to a square, scaled channel by channel."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
Side = Annotated[int, Field(ge=1, le=4096)]


class Preprocessing(BaseModel):
    """The preprocessing that belongs to some weights, as torchvision, timm and open_clip do it with Pillow's images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resize: Side = 256
    """Pixels of the shorter side after resizing; at least those of the crop."""
    crop: Side = 224
    """Pixels of either side of the square that is cut from the centre."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Subtracted from red, green and blue in 0…1."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Divided by, after that."""

    def pixels(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The square (crop, crop, 3) of a frame (H, W, 3); pixels are taken to be square themselves.

        Sizes and places are rounded as torchvision rounds them, so that the values are the same.
        """
        height, width = frame.shape[:2]
        size = int(self.resize * width / min(width, height)), int(self.resize * height / min(width, height))
        image = Image.fromarray(frame).resize(size, FILTERS[self.interpolation])
        left, top = (round((side - self.crop) / 2) for side in size)
        return np.asarray(image.crop((left, top, left + self.crop, top + self.crop)))

    def values(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Squares (T, S, S, 3) as the input of a network, (T, 3, S, S)."""
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        scaled = (pixels / np.float32(255) - mean) / std
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
