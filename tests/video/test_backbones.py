"""Networks, their weights and their preprocessing, against values that are known otherwise."""

import pickle
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from torch import nn

from bench.base.errors import InputError
from bench.video.backbones import EMBEDDED, Backbone, load_backbone
from bench.video.preprocessing import Preprocessing

CPU = torch.device("cpu")


def test_the_embedded_network_sees_what_is_in_photographs() -> None:
    """ImageNet's class 698 is a palace, 985 a daisy; scikit-learn's photographs show such things."""
    backbone = load_backbone(EMBEDDED, None, CPU)
    images = load_sample_images()
    pixels = np.stack([backbone.preprocessing.pixels(image) for image in images.images])
    features = backbone.features(pixels)
    assert features.shape == (2, 1280)
    classifier = backbone.forward._fc  # type: ignore[attr-defined]
    with torch.inference_mode():
        seen = classifier(torch.from_numpy(features)).argmax(1).tolist()
    assert [Path(name).name for name in images.filenames] == ["china.jpg", "flower.jpg"]
    assert seen == [698, 985]
    assert backbone.dimensions == 1280


def test_a_gpu_would_compute_in_full_precision_and_the_same_each_time() -> None:
    cudnn = torch.backends.cudnn

    def settings(pixels: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark]] * len(pixels))

    before = settings(torch.zeros(1))
    backbone = Backbone("settings", "none", settings, Preprocessing(resize=8, crop=8), "", CPU)
    assert backbone.features(np.zeros((5, 8, 8, 3), np.uint8)).tolist() == [[False, True, False]] * 5
    assert torch.equal(settings(torch.zeros(1)), before)


def test_pixels_and_values_by_hand() -> None:
    frame = np.arange(256 * 300 * 3, dtype=np.uint32).reshape(256, 300, 3).astype(np.uint8)
    preprocessing = Preprocessing(mean=(0.5, 0.25, 0), std=(0.5, 0.5, 2))
    pixels = preprocessing.pixels(frame)
    # Nothing to resize: the middle of 256 rows and 300 columns.
    np.testing.assert_array_equal(pixels, frame[16:240, 38:262])
    values = preprocessing.values(pixels[None])
    assert values.shape == (1, 3, 224, 224)
    red, green, blue = (int(value) for value in pixels[5, 7])
    expected = [(red / 255 - 0.5) / 0.5, (green / 255 - 0.25) / 0.5, blue / 255 / 2]
    np.testing.assert_allclose(values[0, :, 5, 7], expected, rtol=1e-6)


@pytest.mark.parametrize("size", [(480, 270), (33, 1000), (1, 7)])
def test_every_frame_fills_the_square(size: tuple[int, int]) -> None:
    pixels = Preprocessing().pixels(np.full((*size, 3), 77, np.uint8))
    assert pixels.shape == (224, 224, 3)
    assert (pixels == 77).all()


class Small(nn.Module):
    """A network in the form of torchvision's VGG: the features are the input of the last linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 1000))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.pool(pixels).flatten(1))


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """A stand-in for torchvision, whose build must match PyTorch's; its weights, as downloaded."""
    torch.manual_seed(0)
    state = Small().state_dict()
    how = SimpleNamespace(
        resize_size=[20], crop_size=[16], interpolation=SimpleNamespace(value="bicubic"), mean=[0.0] * 3, std=[1.0] * 3
    )

    def downloaded(**given: Any) -> dict[str, torch.Tensor]:
        assert given == {"check_hash": True, "weights_only": True}
        return state

    first = SimpleNamespace(get_state_dict=downloaded, transforms=lambda: how)
    offered = SimpleNamespace(__members__={"IMAGENET1K_V1": first}, DEFAULT=None)
    models = ModuleType("torchvision.models")
    vars(models).update(
        list_models=lambda module: ["small", "smaller"],
        get_model_weights=lambda name: offered,
        get_model=lambda name, weights: Small(),
    )
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    return state


def check_small(backbone: Backbone, state: dict[str, torch.Tensor]) -> None:
    """By hand: constant frames have their values as means; then a linear layer and the positive parts."""
    pixels = np.zeros((70, 16, 16, 3), np.uint8)
    pixels[1::2] = (255, 51, 0)
    means = np.array([[0, 0, 0], [1, 0.2, 0]] * 35)
    weight, bias = state["classifier.0.weight"].numpy(), state["classifier.0.bias"].numpy()
    np.testing.assert_allclose(backbone.features(pixels), np.maximum(means @ weight.T + bias, 0), atol=1e-6)


def test_torchvisions_networks_lose_their_last_layer(torchvision: dict[str, torch.Tensor]) -> None:
    backbone = load_backbone("small", None, CPU)
    check_small(backbone, torchvision)
    assert (backbone.library, backbone.dimensions) == ("torchvision", 4)
    assert backbone.preprocessing == Preprocessing(
        resize=20, crop=16, interpolation="bicubic", mean=(0,) * 3, std=(1,) * 3
    )


@pytest.mark.parametrize("form", ["pth", "wrapped.pth", "safetensors"])
def test_weights_from_a_file(form: str, torchvision: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / f"weights.{form}"
    other = {name: value + 1 for name, value in torchvision.items()}
    if form == "safetensors":
        save_file(other, path)
    else:
        torch.save(
            {"state_dict": {f"module.{name}": value for name, value in other.items()}} if "." in form else other, path
        )
    backbone = load_backbone("small", path, CPU)
    check_small(backbone, other)
    assert backbone.weights != load_backbone("small", None, CPU).weights


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("executed",)


def test_weights_that_cannot_be_used(torchvision: dict[str, torch.Tensor], tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "weights.pth"
    for content, message in (
        (pickle.dumps(Harmful(), protocol=2), "cannot be read"),
        (b"no weights", "cannot be read"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            load_backbone("small", path, CPU)
    for state in ({"classifier.0.weight": torch.zeros(3)}, [1, 2]):
        torch.save(state, path)
        with pytest.raises(InputError, match="does not fit the backbone"):
            load_backbone("small", path, CPU)
    assert "executed" not in capsys.readouterr().out


def write_onnx(path: Path, shape: list[Any]) -> Path:
    """A network that gives the mean of every channel, as (n, 3, 1, 1)."""
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("GlobalAveragePool", ["frames"], ["means"])
    inputs, outputs = [value("frames", 1, shape)], [value("means", 1, [shape[0], 3, 1, 1])]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "means", inputs, outputs), opset_imports=[onnx.helper.make_opsetid("", 17)]
    )
    model.ir_version = 9
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("frames", ["n", 1])
def test_networks_from_onnx_files(frames: Any, tmp_path: Path) -> None:
    backbone = load_backbone(str(write_onnx(tmp_path / "means.onnx", [frames, 3, 28, 28])), None, CPU)
    assert backbone.preprocessing == Preprocessing(resize=32, crop=28)
    pixels = np.full((3, 28, 28, 3), (255, 51, 0), np.uint8)
    expected = (np.array([1, 0.2, 0]) - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    np.testing.assert_allclose(backbone.features(pixels), np.tile(expected, (3, 1)), rtol=1e-4)


def test_onnx_files_that_cannot_be_used(tmp_path: Path) -> None:
    wrong = write_onnx(tmp_path / "wrong.onnx", ["n", 5, 28, 28])
    with pytest.raises(InputError, match=r"expected one, \(n, 3, S, S\)"):
        load_backbone(str(wrong), None, CPU)
    with pytest.raises(InputError, match="has its own weights"):
        load_backbone(str(wrong), wrong, CPU)
    (tmp_path / "damaged.onnx").write_bytes(wrong.read_bytes()[:40])
    with pytest.raises(InputError, match="is no ONNX network"):
        load_backbone(str(tmp_path / "damaged.onnx"), None, CPU)
    with pytest.raises(InputError, match="no such file"):
        load_backbone(str(tmp_path / "missing.onnx"), None, CPU)


def test_unknown_names(torchvision: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="did you mean small"):
        load_backbone("smal", None, CPU)
    with pytest.raises(InputError, match="has all names"):
        load_backbone("qqqq", None, CPU)
    with pytest.raises(InputError, match="known: timm:NAME"):
        load_backbone("timmy:resnet18", None, CPU)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"needs the package timm .* or use --backbone efficientnet-lite0"):
        load_backbone("timm:resnet18", None, CPU)
