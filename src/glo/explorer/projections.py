"""Maps of codes: two numbers for each, so that what is near stays near."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glo.latents.directions import Directions

__all__ = ["chart", "chart_methods"]

# The other methods need neighbours, and dimensions to leave out.
_FEWEST = 12


def chart_methods(codes: Tensor) -> list[str]:
    """Return the ways to lay out codes, (N, D), that can be taken here, the fastest first.

    Example:
        >>> import torch
        >>> chart_methods(torch.zeros(5, 2))
        ['pca']
    """
    if len(codes) < _FEWEST or codes.shape[1] < 3:
        return ["pca"]
    return ["pca", *(["umap"] if find_spec("umap") else []), "tsne"]


def chart(codes: Tensor, directions: Directions, method: str) -> NDArray[np.float32]:
    """Lay out codes in the plane.

    Args:
        codes: (m, D).
        directions: of the codes, the first two of which pca takes.
        method: one of `chart_methods`.

    Returns:
        float32 (m, 2).

    Example:
        >>> import torch
        >>> from glo.latents.directions import principal_directions
        >>> codes = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
        >>> chart(codes, principal_directions(codes), "pca")
        array([[-1.,  0.],
               [ 1.,  0.]], dtype=float32)
    """
    if method == "pca":
        flat = ((codes - directions.mean) @ directions.components[:2].T).numpy()
        places = np.zeros((len(codes), 2), np.float32)
        places[:, : flat.shape[1]] = flat
        return places
    return _fitted(codes.numpy(), method)


def _fitted(codes: NDArray[np.float32], method: str) -> NDArray[np.float32]:
    near = min(30, (len(codes) - 1) // 3)
    model: Any
    if method == "umap":
        model = import_module("umap").UMAP(n_neighbors=min(15, near), random_state=0)
    else:
        from sklearn.manifold import TSNE

        model = TSNE(perplexity=near, init="pca", random_state=0)
    return np.asarray(model.fit_transform(codes), np.float32)
