"""Map of a run's codes in the plane by t-SNE, fitted at the end of training and stored."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glo.errors import UserError
from glo.latents.neighbours import distance_blocks
from glo.utils.files import atomic_write
from glo.utils.random import permutation
from glo.utils.safetensors_io import check_finite, read_header, read_tensors, write_tensors

__all__ = [
    "CODE_MAP_FILE",
    "fit_tsne",
    "fitted_rows",
    "has_code_map",
    "place_codes",
    "read_code_map",
    "write_code_map",
]

CODE_MAP_FILE = "map.safetensors"
# More codes take longer than a few seconds, fewer take no time on the page.
MAX_FITTED, MIN_STORED = 4000, 200
# Iterations of 1,000 move no cluster any more.
_ITERATIONS = 500
_PERPLEXITY = 30
# Fitted codes near a further one, and the part of them whose mean is its place: the mean of all
# would put it between clusters, their median onto the coordinates of single ones.
_PLACE_NEIGHBOURS, _MIDDLE = 15, slice(4, 11)


def has_code_map(codes: Tensor) -> bool:
    """Return whether a map of codes, (N, D), is stored: they are many, and not in a plane."""
    return len(codes) >= MIN_STORED and codes.shape[1] > 2


def fitted_rows(n: int) -> Tensor:
    """Return the rows of `n` that a map is fitted to, int64 (min(n, 4000),), ascending."""
    return permutation(n, 0, 0)[:MAX_FITTED].sort().values


def fit_tsne(codes: Tensor) -> Tensor:
    """Return the places of codes, (m, D) with m > 3, in the plane by t-SNE, float32 (m, 2)."""
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(codes) - 1) // 3)
    model = TSNE(perplexity=perplexity, init="pca", max_iter=_ITERATIONS, random_state=0)
    return torch.from_numpy(np.asarray(model.fit_transform(codes.numpy()), np.float32))


def place_codes(codes: Tensor, fitted: Tensor, places: Tensor) -> Tensor:
    """Return places, (m, 2), of codes, (m, D), at the trimmed mean of their nearest fitted ones."""
    points = torch.empty(len(codes), 2)
    for block, distances in distance_blocks(codes, fitted):
        near = distances.topk(_PLACE_NEIGHBOURS, largest=False).indices
        points[block] = places[near].sort(1).values[:, _MIDDLE].mean(1)
    return points


def write_code_map(folder: Path, codes: Tensor) -> Path:
    """Fit the map of a run's codes, (N, D), write it atomically, and return its path."""
    fitted = codes[fitted_rows(len(codes))].float()
    path = folder / CODE_MAP_FILE
    with atomic_write(path) as temporary:
        write_tensors(temporary, {"places": fit_tsne(fitted)}, {"codes": _checksum(fitted)})
    return path


def read_code_map(folder: Path, codes: Tensor) -> Tensor | None:
    """Read the places of `fitted_rows`, float32 (m, 2).

    None where the file is missing or damaged, or was fitted to other codes, as of a run that
    continued or whose rows changed.
    """
    path = folder / CODE_MAP_FILE
    fitted = codes[fitted_rows(len(codes))].float()
    try:
        if read_header(path).about.get("codes") != _checksum(fitted):
            return None
        tensors = read_tensors(
            path, {"places": torch.empty(len(fitted), 2, dtype=torch.float32, device="meta")}
        )
        check_finite(path, tensors)
    except UserError:
        return None
    return tensors["places"]


def _checksum(codes: Tensor) -> str:
    return hashlib.sha256(codes.contiguous().numpy().tobytes()).hexdigest()
