"""Principal components against scikit-learn, and codes that belong to their own rows."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as Reference

from glo.config.settings import Settings
from glo.data import Dataset
from glo.latents.init import fit_pca, pca_codes
from glo.training.state import init_train_state

Maker = Callable[..., Dataset]


def spread(n: int, features: int, seed: int = 0) -> np.ndarray:
    """Rows whose variances fall clearly, around a mean that is not zero."""
    rng = np.random.default_rng(seed)
    scales = 0.7 ** np.arange(min(features, 12))
    basis = np.linalg.qr(rng.normal(size=(features, len(scales))))[0].T
    return (rng.normal(size=(n, len(scales))) * scales @ basis + 2.0).astype("float32")


@pytest.mark.parametrize(("n", "features", "dim"), [(300, 9, 4), (7, 40, 3), (60, 5000, 4)])
def test_components_and_errors_are_sklearns(n: int, features: int, dim: int) -> None:
    rows = spread(n, features)
    ours, theirs = fit_pca(Dataset(rows=rows, name="x"), dim), Reference(dim).fit(rows)
    torch.testing.assert_close(ours.mean, torch.from_numpy(rows.mean(0)), atol=1e-5, rtol=0.0)
    cosines = (ours.components.numpy() * theirs.components_).sum(1)
    np.testing.assert_allclose(np.abs(cosines), 1.0, atol=1e-3)
    np.testing.assert_allclose(
        ours.variances.numpy(), theirs.explained_variance_ * (n - 1) / n, rtol=1e-3
    )
    rest = rows - theirs.inverse_transform(theirs.transform(rows))
    assert ours.pca_mse == pytest.approx(float((rest**2).mean()), rel=1e-3)
    assert ours.mean_image_mse == pytest.approx(float(rows.var(0).mean()), rel=1e-4)
    gram = ours.components @ ours.components.T
    torch.testing.assert_close(gram, torch.eye(dim), atol=1e-5, rtol=0.0)


def test_pictures_are_measured_in_their_own_range(blobs: Maker) -> None:
    samples = blobs(50)
    flat = samples.batch(torch.arange(50)).flatten(1).numpy()
    pca = fit_pca(samples, 3)
    assert pca.mean_image_mse == pytest.approx(float(flat.var(0).mean()), rel=1e-4)
    theirs = Reference(3).fit(flat)
    rest = flat - theirs.inverse_transform(theirs.transform(flat))
    assert pca.pca_mse == pytest.approx(float((rest**2).mean()), rel=1e-3)


def test_more_rows_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = Dataset(rows=spread(103, 8), name="x")
    whole = fit_pca(samples, 3)
    codes = pca_codes(samples, 3, pca=whole)
    monkeypatch.setattr("glo.latents.init._BATCH", 10)
    parts = fit_pca(samples, 3)
    assert parts.pca_mse == pytest.approx(whole.pca_mse, rel=1e-4)
    torch.testing.assert_close(pca_codes(samples, 3, pca=whole), codes)


def test_codes_are_whitened_and_lie_mostly_in_the_ball() -> None:
    rows = spread(2000, 10)
    samples = Dataset(rows=rows, name="x")
    codes = pca_codes(samples, 4)
    white = torch.from_numpy(Reference(4, whiten=True).fit_transform(rows).copy()).float()
    ratio = codes.norm(dim=1) / white.norm(dim=1)
    torch.testing.assert_close(ratio, ratio[:1].expand(2000), atol=0.0, rtol=1e-2)
    covariance = torch.cov(codes.T)
    scale = covariance.diagonal().mean()
    torch.testing.assert_close(covariance / scale, torch.eye(4), atol=1e-3, rtol=0.0)
    assert (codes.norm(dim=1) <= 1).float().mean() == pytest.approx(0.95, abs=0.001)


def test_codes_go_with_their_rows() -> None:
    rows = spread(80, 8)
    order = np.random.default_rng(1).permutation(80)
    plain, shuffled = Dataset(rows=rows, name="x"), Dataset(rows=rows[order], name="x")
    codes = pca_codes(plain, 3)
    moved = pca_codes(shuffled, 3)
    # The sign of a component is free, so it is taken from the first row.
    moved = moved * (moved[0] * codes[order[0]]).sign()
    torch.testing.assert_close(moved, codes[order], atol=1e-3, rtol=1e-3)
    assert not torch.allclose(moved, codes, atol=0.1)


def test_a_row_can_be_rebuilt_from_its_own_code() -> None:
    samples = Dataset(rows=spread(50, 6), name="x")
    pca = fit_pca(samples, 6)
    codes = pca_codes(samples, 6, pca=pca)
    white = codes / codes.std(0, correction=0)
    rebuilt = white * pca.variances.sqrt() @ pca.components + pca.mean
    torch.testing.assert_close(rebuilt, samples.batch(torch.arange(50)), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("n", "features"), [(3, 40), (40, 3), (1, 5), (3, 5000)])
def test_missing_components_are_filled_up(n: int, features: int) -> None:
    samples = Dataset(rows=spread(n, features), name="x")
    pca = fit_pca(samples, 8)
    assert pca.components.shape == (min(n, features), features)
    codes = pca_codes(samples, 8, pca=pca, seed=1)
    assert codes.shape == (n, 8)
    assert bool(torch.isfinite(codes).all())
    assert codes.norm(dim=1).max() < 2
    filled = codes[:, min(n, features) :]
    assert bool((filled != 0).all())
    assert not torch.equal(filled, pca_codes(samples, 8, pca=pca, seed=2)[:, min(n, features) :])
    assert torch.equal(codes, pca_codes(samples, 8, pca=pca, seed=1))


@pytest.mark.parametrize("value", [0, 77, 255])
def test_constant_data_give_finite_codes_that_differ(value: int) -> None:
    samples = Dataset(rows=np.full((12, 8, 8, 1), value, np.uint8), name="flat")
    pca = fit_pca(samples, 4)
    assert pca.mean_image_mse < 1e-8
    codes = pca_codes(samples, 4, pca=pca)
    assert bool(torch.isfinite(codes).all())
    assert len(torch.unique(codes, dim=0)) == 12


def test_repeated_rows_do_not_blow_codes_up() -> None:
    rows = np.repeat(spread(3, 30), 20, axis=0)
    samples = Dataset(rows=rows, name="x")
    codes = pca_codes(samples, 8)
    assert bool(torch.isfinite(codes).all())
    assert codes.norm(dim=1).max() < 3


def with_holes(rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    known = np.random.default_rng(5).random(rows.shape) > share
    return np.where(known, rows, np.nan).astype("float32"), known


def test_masked_means_and_errors_count_what_is_known() -> None:
    full = spread(300, 6)
    rows, known = with_holes(full, 0.4)
    pca = fit_pca(Dataset(rows=rows, name="x"), 2)
    mean = np.nanmean(rows, 0)
    np.testing.assert_allclose(pca.mean.numpy(), mean, atol=1e-5)
    centred = np.where(known, rows - mean, 0.0)
    count = np.maximum(known.sum(1), 1)
    assert pca.mean_image_mse == pytest.approx(((centred**2).sum(1) / count).mean(), rel=1e-4)
    rest = np.where(known, centred - centred @ pca.components.numpy().T @ pca.components.numpy(), 0)
    assert pca.pca_mse == pytest.approx(((rest**2).sum(1) / count).mean(), rel=1e-4)
    # Nothing is known of the hidden numbers, so their share does not change the mean's error much.
    assert pca.mean_image_mse == pytest.approx(float(full.var(0).mean()), rel=0.1)


def test_hidden_pixels_do_not_count(blobs: Maker) -> None:
    plain = blobs(30)
    missing = np.random.default_rng(0).random((30, 8, 8, 1)) < 0.3
    noise = np.random.default_rng(1).integers(0, 255, plain.rows.shape, dtype=np.uint8)
    other = np.where(missing, noise, plain.rows)
    first = Dataset(rows=plain.rows, missing=missing, name="a")
    second = Dataset(rows=other, missing=missing, name="b")
    one, two = fit_pca(first, 3), fit_pca(second, 3)
    assert torch.equal(one.mean, two.mean)
    assert torch.equal(one.components, two.components)
    assert (one.mean_image_mse, one.pca_mse) == (two.mean_image_mse, two.pca_mse)
    assert torch.equal(pca_codes(first, 3, pca=one), pca_codes(second, 3, pca=two))


def test_a_number_that_is_never_known_has_mean_zero() -> None:
    rows = spread(20, 4)
    rows[:, 1] = np.nan
    pca = fit_pca(Dataset(rows=rows, name="x"), 2)
    assert pca.mean[1] == 0
    assert bool(torch.isfinite(pca.components).all())


def test_wide_examples_are_decomposed_by_seed() -> None:
    samples = Dataset(rows=spread(20, 4200), name="x")
    one, two = fit_pca(samples, 2, seed=3), fit_pca(samples, 2, seed=3)
    assert torch.equal(one.components, two.components)


def test_codes_of_a_run_are_those_of_the_function(blobs: Maker) -> None:
    settings = Settings(code_dim=3, width=4, constraint="free", seed=5)
    samples = blobs(30)
    state = init_train_state(samples, settings, fit_pca(samples, 3, seed=5))
    assert torch.equal(state.codes, pca_codes(samples, 3, seed=5))
