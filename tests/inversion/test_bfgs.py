"""The quasi-Newton step: the formula of the book, row by row, and the minimum of a quadratic."""

import numpy as np
import torch

from glo.inversion.bfgs import join, learn, propose, take


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def positive(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    root = draw(n, dim, dim, seed=seed)
    return root @ root.mT + 0.1 * torch.eye(dim, dtype=torch.float64)


def test_learning_is_the_products_of_the_book() -> None:
    inverse, moved = positive(4, 3), draw(4, 3, seed=1)
    turned = (positive(4, 3, seed=2) @ moved.unsqueeze(2)).squeeze(2)
    found = learn(inverse, moved, turned)
    for i in range(4):
        s, y, h = moved[i].numpy(), turned[i].numpy(), inverse[i].numpy()
        rate = 1 / (s @ y)
        left = np.eye(3) - rate * np.outer(s, y)
        wanted = left @ h @ left.T + rate * np.outer(s, s)
        np.testing.assert_allclose(found[i].numpy(), wanted, atol=1e-9)
        np.testing.assert_allclose(found[i].numpy() @ y, s, atol=1e-9)
    assert bool((torch.linalg.eigvalsh(found) > 0).all())


def test_rows_without_curvature_keep_what_they_know() -> None:
    inverse = positive(3, 2)
    moved = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]).double()
    turned = torch.tensor([[-1.0, 0.0], [1.0, 1.0], [torch.nan, 0.0]]).double()
    assert torch.equal(learn(inverse, moved, turned), inverse)


def test_a_step_is_no_longer_than_allowed_and_shrinks() -> None:
    rows = {
        "codes": torch.zeros(3, 2),
        "inverse": torch.eye(2).expand(3, 2, 2),
        "gradient": torch.tensor([[0.0, 0.1], [30.0, 40.0], [0.0, 0.1]]),
        "shrink": torch.tensor([1.0, 1.0, 0.5]),
    }
    wanted = torch.tensor([[0.0, -0.1], [-0.6, -0.8], [0.0, -0.05]])
    torch.testing.assert_close(propose(rows, 1.0), wanted)


def test_a_quadratic_is_solved_in_a_few_steps() -> None:
    hessian, start = positive(5, 4, seed=3), draw(5, 4, seed=4)
    eye = torch.eye(4, dtype=torch.float64).expand(5, 4, 4)
    ones = torch.ones(5, dtype=torch.float64)
    rows = {"codes": start, "inverse": 0.05 * eye, "gradient": (hessian @ start[..., None])[..., 0]}
    rows["shrink"] = ones
    for _ in range(60):
        trial = propose(rows, 10.0)
        gradient = (hessian @ trial[..., None])[..., 0]
        moved, turned = trial - rows["codes"], gradient - rows["gradient"]
        rows |= {"inverse": learn(rows["inverse"], moved, turned)}
        rows |= {"codes": trial, "gradient": gradient}
    assert float(rows["codes"].abs().max()) < 1e-8


def test_rows_are_chosen_and_put_together() -> None:
    rows = {"a": torch.arange(4), "b": torch.arange(8).view(4, 2)}
    parts = take(rows, torch.tensor([True, False, False, True])), take(rows, torch.tensor([1, 2]))
    whole = join(join(None, parts[0]), parts[1])
    assert whole["a"].tolist() == [0, 3, 1, 2]
    assert whole["b"][2].tolist() == [2, 3]
