"""Maps of many codes, stored with their run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from glo.runs import code_map
from glo.runs.code_map import fit_tsne, fitted_rows, place_codes, read_code_map, write_code_map


def test_further_codes_lie_in_their_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_map, "MAX_FITTED", 120)
    cluster = torch.arange(400) % 3
    codes = torch.randn(400, 5, generator=torch.Generator().manual_seed(0)) * 0.1
    codes[:, :3] += 9.0 * torch.eye(3)[cluster]
    fitted = codes[fitted_rows(400)]
    points = place_codes(codes, fitted, fit_tsne(fitted)).numpy()
    centers = np.stack([np.median(points[cluster == k], axis=0) for k in range(3)])
    distances = np.linalg.norm(points[:, None] - centers, axis=2)
    assert (distances.argmin(1) == cluster.numpy()).all()
    # They are spread, not piled up on the fitted ones.
    assert len(np.unique(points, axis=0)) > 350


def test_a_map_of_other_codes_is_not_read(tmp_path: Path) -> None:
    codes = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))
    assert read_code_map(tmp_path, codes) is None
    path = write_code_map(tmp_path, codes)
    places = read_code_map(tmp_path, codes)
    assert places is not None
    assert places.shape == (30, 2)
    assert read_code_map(tmp_path, codes[:-1]) is None
    assert read_code_map(tmp_path, codes + 1.0) is None
    path.write_bytes(path.read_bytes()[:-9])
    assert read_code_map(tmp_path, codes) is None
