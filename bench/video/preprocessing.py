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

        Only the part within the crop is resized: the same values, since resizing weighs every pixel alone.
        """
        sides = frame.shape[1], frame.shape[0]
        box: list[float] = []
        for side in sides:
            resized = int(self.resize * side / min(sides))
            first = round((resized - self.crop) / 2)
            box += [first * side / resized, min((first + self.crop) * side / resized, side)]
        place = box[0], box[2], box[1], box[3]
        image = Image.fromarray(frame).resize((self.crop, self.crop), FILTERS[self.interpolation], place)
        return np.asarray(image)

    def values(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Squares (T, S, S, 3) as the input of a network, (T, 3, S, S)."""
        scaled = (pixels / np.float32(255) - np.float32(self.mean)) / np.float32(self.std)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
