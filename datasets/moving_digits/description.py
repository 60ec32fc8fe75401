"""One non-negative vector per frame: how much of each patch of a learned dictionary the frame holds, wherever it is.

Contrast normalisation, whitening, k-means dictionary and pooling are those of A. Coates, H. Lee and A. Y. Ng, "An Analysis
of Single-Layer Networks in Unsupervised Feature Learning", AISTATS 2011; unit-length atoms and the soft threshold are those
of A. Coates and A. Y. Ng, "The Importance of Encoding Versus Training with Sparse Coding and Vector Quantization", ICML 2011.
"""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from .parameters import Parameters
from .randomness import dictionary_stream

CONTRAST_FLOOR = 0.15
"""Added (squared) to a patch's variance before it is divided out, so that mere noise does not become full contrast."""
WHITENING_FLOOR = 0.1
"""Added to the variances that whitening divides out, against amplifying directions without content."""
KMEANS_ITERATIONS = 20
MEAN_FEATURE = 0.5
"""Mean of the features over the training patches: the order of magnitude of pooled CNN features."""
FRAMES_AT_ONCE = 16
"""Few enough for a batch's arrays to stay in the processor's cache."""


@dataclasses.dataclass(frozen=True)
class Dictionary:
    """Whitening, atoms, threshold and scale in one: responses = max(0, normalised patches @ filters + offsets)."""

    filters: NDArray[np.float32]
    """(patch_size ** 2, D)."""
    offsets: NDArray[np.float32]
    """(D,)."""


def learn_dictionary(parameters: Parameters, frames: NDArray[np.uint8]) -> Dictionary:
    """Learns whitening and dictionary from random patches of the training videos' frames, (N, T, H, W)."""
    import faiss  # noqa: PLC0415  not needed to describe frames

    patches = _normalised(_random_patches(parameters, frames)).double().numpy()
    mean = patches.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(patches, rowvar=False))
    whitening = directions / np.sqrt(variances + WHITENING_FLOOR) @ directions.T
    white = (patches - mean) @ whitening

    kmeans = faiss.Kmeans(
        white.shape[1],
        parameters.filters,
        niter=KMEANS_ITERATIONS,
        seed=parameters.seed,
        spherical=True,
        # faiss would take a sample, and warn of few points, where told nothing.
        min_points_per_centroid=1,
        max_points_per_centroid=len(white),
    )
    kmeans.train(white.astype(np.float32))
    atoms = kmeans.centroids.T.astype(np.float64)

    scale = MEAN_FEATURE / np.maximum(white @ atoms - parameters.threshold, 0).mean()
    filters = scale * whitening @ atoms
    offsets = -mean @ filters - scale * parameters.threshold
    return Dictionary(filters.astype(np.float32), offsets.astype(np.float32))


def describe(parameters: Parameters, dictionary: Dictionary, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describes frames, (n, T, H, W), by features, (n, T, D) and >= 0: the mean responses over the frame's patches."""
    filters, offsets = torch.from_numpy(dictionary.filters), torch.from_numpy(dictionary.offsets)
    pixels = torch.from_numpy(frames).flatten(0, 1)
    features = torch.empty(len(pixels), filters.shape[1])
    size, stride = parameters.patch_size, parameters.patch_stride
    per_frame = ((parameters.frame_size - size) // stride + 1) ** 2
    # Reused from batch to batch: allocating it anew would cost as much as filling it.
    responses = torch.empty(FRAMES_AT_ONCE, per_frame, filters.shape[1])
    for start in range(0, len(pixels), FRAMES_AT_ONCE):
        batch = pixels[start : start + FRAMES_AT_ONCE].float().div_(255)
        patches = batch.unfold(1, size, stride).unfold(2, size, stride).reshape(-1, size**2)
        out = responses[: len(batch)]
        torch.addmm(offsets, _normalised(patches), filters, out=out.flatten(0, 1)).relu_()
        torch.mean(out, dim=1, out=features[start : start + len(batch)])
    return features.view(*frames.shape[:2], -1).numpy()


def _random_patches(parameters: Parameters, frames: NDArray[np.uint8]) -> torch.Tensor:
    """(patch_samples, patch_size ** 2) patches in 0 to 1 from random places of random frames."""
    size, samples = parameters.patch_size, parameters.patch_samples
    random = dictionary_stream(parameters.seed)
    windows = np.lib.stride_tricks.sliding_window_view(frames, (size, size), axis=(2, 3))
    places = tuple(random.integers(0, extent, samples) for extent in windows.shape[:4])
    return torch.from_numpy(windows[places].reshape(samples, size**2)).float().div_(255)


def _normalised(patches: torch.Tensor) -> torch.Tensor:
    """Patches, (m, patch_size ** 2), less their mean brightness and divided by their contrast."""
    return functional.layer_norm(patches, patches.shape[1:], eps=CONTRAST_FLOOR**2)
