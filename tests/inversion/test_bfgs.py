"""BFGS updates against the published formula and on a quadratic."""

import numpy as np
import torch

from glo.inversion.bfgs import bfgs_update, newton_step


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def positive(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    root = draw(n, dim, dim, seed=seed)
    return root @ root.mT + 0.1 * torch.eye(dim, dtype=torch.float64)


def test_update_is_the_published_formula() -> None:
    inverse, step = positive(4, 3), draw(4, 3, seed=1)
    change = (positive(4, 3, seed=2) @ step.unsqueeze(2)).squeeze(2)
    updated = bfgs_update(inverse, step, change)
    for i in range(4):
        s, y, h = step[i].numpy(), change[i].numpy(), inverse[i].numpy()
        rate = 1 / (s @ y)
        left = np.eye(3) - rate * np.outer(s, y)
        expected = left @ h @ left.T + rate * np.outer(s, s)
        np.testing.assert_allclose(updated[i].numpy(), expected, atol=1e-9)
        np.testing.assert_allclose(updated[i].numpy() @ y, s, atol=1e-9)
    assert bool((torch.linalg.eigvalsh(updated) > 0).all())


def test_rows_without_curvature_keep_their_estimate() -> None:
    inverse = positive(3, 2)
    step = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]).double()
    change = torch.tensor([[-1.0, 0.0], [1.0, 1.0], [torch.nan, 0.0]]).double()
    assert torch.equal(bfgs_update(inverse, step, change), inverse)


def test_a_step_is_bounded_and_shrinks() -> None:
    rows = {
        "codes": torch.zeros(3, 2),
        "inverse": torch.eye(2).expand(3, 2, 2),
        "gradient": torch.tensor([[0.0, 0.1], [30.0, 40.0], [0.0, 0.1]]),
        "shrink": torch.tensor([1.0, 1.0, 0.5]),
    }
    expected = torch.tensor([[0.0, -0.1], [-0.6, -0.8], [0.0, -0.05]])
    torch.testing.assert_close(newton_step(rows, 1.0), expected)


def test_a_quadratic_is_solved_in_a_few_steps() -> None:
    hessian, start = positive(5, 4, seed=3), draw(5, 4, seed=4)
    eye = torch.eye(4, dtype=torch.float64).expand(5, 4, 4)
    ones = torch.ones(5, dtype=torch.float64)
    rows = {"codes": start, "inverse": 0.05 * eye, "gradient": (hessian @ start[..., None])[..., 0]}
    rows["shrink"] = ones
    for _ in range(60):
        trial = newton_step(rows, 10.0)
        gradient = (hessian @ trial[..., None])[..., 0]
        step, change = trial - rows["codes"], gradient - rows["gradient"]
        rows |= {"inverse": bfgs_update(rows["inverse"], step, change)}
        rows |= {"codes": trial, "gradient": gradient}
    assert float(rows["codes"].abs().max()) < 1e-8
