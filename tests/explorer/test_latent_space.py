"""Layouts of many codes."""

import numpy as np
import pytest
import torch

from glo.explorer import latent_space
from glo.explorer.latent_space import project_to_plane
from glo.latents.directions import principal_directions


def test_further_codes_lie_in_their_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_space, "_MAX_FITTED_POINTS", 120)
    cluster = torch.arange(400) % 3
    codes = torch.randn(400, 5, generator=torch.Generator().manual_seed(0)) * 0.1
    codes[:, :3] += 9.0 * torch.eye(3)[cluster]
    points = project_to_plane(codes, principal_directions(codes), "tsne")
    centers = np.stack([np.median(points[cluster == k], axis=0) for k in range(3)])
    distances = np.linalg.norm(points[:, None] - centers, axis=2)
    assert (distances.argmin(1) == cluster.numpy()).all()
    # They are spread, not piled up on the fitted ones.
    assert len(np.unique(points, axis=0)) > 350
