"""One non-negative vector per frame: how much of each patch of a learned dictionary the frame holds, wherever it is.

Contrast normalisation, whitening, k-means dictionary and dense pooled encoding: A. Coates, H. Lee and A. Y. Ng, "An
Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS 2011. Atoms of unit length and the soft
threshold: A. Coates and A. Y. Ng, "The Importance of Encoding Versus Training with Sparse Coding and Vector
Quantization", ICML 2011.
"""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from .parameters import Parameters
from .randomness import dictionary_stream

CONTRAST_FLOOR = 0.1
"""Added (squared) to a patch's variance before it is divided out, so that mere noise does not become full contrast."""
WHITENING_FLOOR = 0.5
"""Added to the variances that whitening divides out, against amplifying directions that hold little but noise."""
KMEANS_ITERATIONS = 20
MEAN_FEATURE = 0.5
"""Mean of the features over the training patches: the order of magnitude of pooled CNN features."""
PATCHES_PER_FRAME = 40
"""The mean number of patches of a training frame from which the dictionary is learned."""
FRAMES_AT_ONCE = 16
"""Few enough for a batch's arrays to stay in the processor's cache."""


@dataclasses.dataclass(frozen=True)
class Dictionary:
    """Whitening, atoms, threshold and scale in one: responses = max(0, filters @ normalised patches + offsets)."""

    filters: NDArray[np.float32]
    """(D, patch_size ** 2)."""
    offsets: NDArray[np.float32]
    """(D, 1)."""


def learn_dictionary(parameters: Parameters, frames: NDArray[np.uint8]) -> Dictionary:
    """Learns whitening and dictionary from random patches of training frames, (n, T, H, W), without labels."""
    import faiss  # noqa: PLC0415  not needed to describe frames

    random = dictionary_stream(parameters.seed)
    pixels = frames.reshape(-1, *frames.shape[2:])
    chosen = random.integers(0, len(pixels), -(-parameters.patch_samples // PATCHES_PER_FRAME))
    candidates = _normalised_patches(torch.from_numpy(pixels[chosen]), parameters.patch_size).T.numpy()
    patches = candidates[random.integers(0, len(candidates), parameters.patch_samples)].astype(np.float64)

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
        # By default, faiss would warn of few points and leave out some of many.
        min_points_per_centroid=1,
        max_points_per_centroid=len(white),
    )
    kmeans.train(white.astype(np.float32))
    atoms = np.asarray(kmeans.centroids, dtype=np.float64)

    scale = MEAN_FEATURE / np.maximum(white @ atoms.T - parameters.threshold, 0).mean()
    filters = scale * atoms @ whitening
    offsets = -filters @ mean[:, None] - scale * parameters.threshold
    return Dictionary(filters.astype(np.float32), offsets.astype(np.float32))


def describe(parameters: Parameters, dictionary: Dictionary, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describes frames, (n, T, H, W), by features, (n, T, D) and >= 0: the mean responses over a frame's patches."""
    filters, offsets = torch.from_numpy(dictionary.filters), torch.from_numpy(dictionary.offsets)
    pixels = torch.from_numpy(frames).flatten(0, 1)
    features = torch.empty(len(pixels), len(filters))
    places = (parameters.frame_size - 1 - parameters.patch_size) ** 2
    # Reused from batch to batch: allocating it anew would cost as much as filling it.
    buffer = torch.empty(len(filters) * places * FRAMES_AT_ONCE)
    for start in range(0, len(pixels), FRAMES_AT_ONCE):
        batch = pixels[start : start + FRAMES_AT_ONCE]
        patches = _normalised_patches(batch, parameters.patch_size)
        responses = buffer[: len(filters) * patches.shape[1]].view(len(filters), -1)
        torch.addmm(offsets, filters, patches, out=responses).relu_()
        features[start : start + len(batch)] = responses.view(len(filters), places, len(batch)).mean(dim=1).T
    return features.view(*frames.shape[:2], -1).numpy()


def _normalised_patches(frames: torch.Tensor, size: int) -> torch.Tensor:
    """(size ** 2, places * n) patches from all places in (n, H, W) uint8 frames, of mean 0 and of about equal contrast.

    The frames are smoothed first by the binomial filter (1, 2, 1) in both directions, which takes off most of the pixel
    noise. Every place counts: at every second one only, features would change more under a shift by one pixel than
    pixels do.
    """
    # Frames come last from here on, so that cutting out patches copies long runs of memory instead of single rows.
    image = frames.permute(1, 2, 0).float().div_(16 * 255)
    image = image[:-2] + 2 * image[1:-1] + image[2:]
    image = image[:, :-2] + 2 * image[:, 1:-1] + image[:, 2:]
    patches = image.unfold(0, size, 1).unfold(1, size, 1).permute(3, 4, 0, 1, 2).reshape(size**2, -1)
    patches -= patches.mean(dim=0)
    patches *= (patches.square().mean(dim=0) + CONTRAST_FLOOR**2).rsqrt_()
    return patches
