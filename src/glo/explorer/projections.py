"""Projections of codes to the plane: PCA, UMAP, t-SNE."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glo.latents.directions import Directions

__all__ = ["project_to_plane", "projection_methods"]

# UMAP and t-SNE need neighbours, a third of the codes at most.
_MIN_CODES = 12


def projection_methods(codes: Tensor) -> list[str]:
    """Return the methods available for codes, (N, D), the fastest first.

    Example:
        >>> import torch
        >>> projection_methods(torch.zeros(5, 2))
        ['pca']
    """
    if len(codes) < _MIN_CODES or codes.shape[1] < 3:
        return ["pca"]
    return ["pca", *(["umap"] if find_spec("umap") else []), "tsne"]


def project_to_plane(codes: Tensor, directions: Directions, method: str) -> NDArray[np.float32]:
    """Project codes to the plane.

    Args:
        codes: codes, (m, D).
        directions: principal directions of the codes; "pca" uses the first two.
        method: one of `projection_methods`.

    Returns:
        float32 (m, 2).

    Example:
        >>> import torch
        >>> from glo.latents.directions import principal_directions
        >>> codes = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
        >>> project_to_plane(codes, principal_directions(codes), "pca")
        array([[-1.,  0.],
               [ 1.,  0.]], dtype=float32)
    """
    n_neighbors = min(30, (len(codes) - 1) // 3)
    model: Any
    if method == "umap":
        model = import_module("umap").UMAP(n_neighbors=min(15, n_neighbors), random_state=0)
    elif method == "tsne":
        from sklearn.manifold import TSNE

        model = TSNE(perplexity=n_neighbors, init="pca", random_state=0)
    else:
        scores = ((codes - directions.mean) @ directions.components[:2].T).numpy()
        # One code has no direction, and codes of one number have one.
        return np.pad(scores, ((0, 0), (0, 2 - scores.shape[1])))
    return np.asarray(model.fit_transform(codes.numpy()), np.float32)
