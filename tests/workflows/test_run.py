"""The tasks of a run as methods: images and tables, labelled or not, finished or not."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from tests.builders import at_step, finish, images, stop

from glo.data import Dataset
from glo.errors import UserError
from glo.inversion import AveragePool, half_mask
from glo.workflows.evaluate import evaluate
from glo.workflows.evaluation_plan import prepare
from glo.workflows.run import Run, open_run

N = 40


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "<b>"
    labels = np.arange(N) % 3 - 1
    data = Dataset(
        rows=images(N)[..., None], name="a & b", labels=labels, label_names=("<i>", "two")
    )
    finish(folder, data, prior="gaussian")
    return open_run(folder)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "table"
    finish(folder, Dataset(rows=vectors(N), name="table"), prior="gaussian")
    return open_run(folder)


def vectors(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5))
    return (100 + 10 * factors).astype("float32")


def strips(html: str) -> list[Image.Image]:
    uris = re.findall(r'src="data:image/png;base64,([^"]*)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(uri))) for uri in uris]


def test_codes_of_samples_decode_to_the_samples(pictures: Run) -> None:
    samples = pictures.sample(5, seed=1)
    codes = pictures.encode(samples)
    assert codes.shape == (5, 4)
    assert float((pictures.decode(codes) - samples).square().mean()) < 1e-3
    [batch] = pictures.search(samples)
    assert torch.equal(batch.inversion.codes, codes)


def test_a_float_tensor_without_dark_pixels_is_read_in_its_range(pictures: Run) -> None:
    bright = images(3) // 2 + 128
    tensor = torch.from_numpy(bright[:, None] / 127.5 - 1)
    assert tensor.min() > 0
    assert torch.equal(pictures.encode(tensor), pictures.encode(bright))


def test_files_are_read_like_arrays(pictures: Run, tmp_path: Path) -> None:
    paths = [tmp_path / f"{row}.png" for row in range(2)]
    for path, image in zip(paths, images(2), strict=True):
        Image.fromarray(image).save(path)
    assert torch.equal(pictures.encode(paths), pictures.encode(images(2)))
    assert torch.equal(pictures.encode(paths[1]), pictures.encode(images(2)[1:]))


def test_mistakes_with_examples_and_codes(pictures: Run, table: Run) -> None:
    with pytest.raises(UserError, match="search is 'encoder'"):
        pictures.encode(images(2), search="encoder")
    with pytest.raises(UserError, match="vectors"):
        pictures.encode(vectors(3))
    with pytest.raises(UserError, match="5 numbers"):
        table.encode(np.zeros((3, 4), np.float32))
    with pytest.raises(UserError, match="codes"):
        pictures.nearest(torch.zeros(3))


def test_restored_images_keep_the_known_pixels(pictures: Run) -> None:
    clean = images(3)[:, None]
    mask = half_mask(pictures.data.shape, "left")
    by_mask = pictures.restore(clean, mask=mask, n_solutions=2)
    holes = np.where(mask.numpy() > 0, clean / 255, np.nan).astype("float32")
    by_nan = pictures.restore(holes, n_solutions=2)
    expected = torch.from_numpy(clean[..., 4:] / 127.5 - 1).float()
    assert by_mask.shape == (3, 1, 8, 8)
    assert torch.allclose(by_mask[..., 4:], expected, atol=1e-6)
    assert torch.equal(by_mask, by_nan)


def test_an_operator_gives_the_shape_of_observations(pictures: Run) -> None:
    pool = AveragePool(factor=2)
    small = pool(pictures.sample(2, seed=1))
    assert pictures.restore(small, operator=pool, n_solutions=1).shape == (2, 1, 8, 8)


def test_a_table_is_filled_in_its_units(table: Run) -> None:
    rows = vectors(4)
    rows[0, 2] = rows[2, :2] = np.nan
    filled = table.restore(rows).numpy()
    known = ~np.isnan(rows)
    np.testing.assert_array_equal(filled[known], rows[known])
    assert np.abs(filled - vectors(4))[~known].max() < 30


def test_restoring_nothing_is_refused(pictures: Run, table: Run) -> None:
    for run, examples in ((pictures, images(2)), (table, vectors(2))):
        with pytest.raises(UserError, match="nothing to restore"):
            run.restore(examples)
    with pytest.raises(UserError, match="are for images"):
        table.restore(vectors(2), noise=0.1)


def test_figures_are_those_of_the_workflow(pictures: Run) -> None:
    data = Dataset(rows=images(N)[..., None], name="a & b")
    figures = pictures.evaluate(data, heldout=images(20, seed=1), n=10, features="thumbnails")
    plan = prepare(pictures, data, heldout=images(20, seed=1), n=10, features="thumbnails")
    assert figures["priors"]["gaussian"]["fd"] == evaluate(plan)["priors"]["gaussian"]["fd"]


def test_a_notebook_shows_data_error_settings_and_samples(pictures: Run) -> None:
    html = pictures._repr_html_()
    assert pictures.summary is not None
    for text in ("a &amp; b", "40 images of 1 x 8 x 8, 2 classes", "code_dim 4", "&lt;b&gt;"):
        assert text in html
    assert f"{pictures.summary['mse']:.4f}" in html
    assert "<b></code>" not in html
    [strip] = strips(html)
    assert strip.width > 7 * strip.height


def test_a_notebook_shows_a_table_without_pictures(table: Run) -> None:
    html = table._repr_html_()
    assert "40 vectors of 5" in html
    assert "standard deviations" in html
    assert "<img" not in html


def test_a_notebook_shows_unfinished_runs(tmp_path: Path) -> None:
    stop(tmp_path / "half", at_step(5))
    html = open_run(tmp_path / "half")._repr_html_()
    assert "not finished" in html
    assert "reconstructions" in html
    assert len(strips(html)) == 1
    stop(tmp_path / "new", lambda hook, value: hook == "on_train_begin", save=False)
    html = open_run(tmp_path / "new")._repr_html_()
    assert "not finished" in html
    assert strips(html) == []


def test_plots(pictures: Run, table: Run) -> None:
    axes = pictures.plot(axes=Figure().subplots())
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["no label", "<i>", "two"]
    assert sum(len(dots.get_offsets()) for dots in axes.collections) == N
    assert table.plot("codes", axes=Figure().subplots()).get_legend() is None
    assert len(pictures.plot("samples", axes=Figure().subplots()).images) == 1
    assert len(table.plot("samples", axes=Figure().subplots()).lines) == 64
    [line] = table.plot("training", axes=Figure().subplots()).lines
    assert line.get_ydata().tolist() == table.loss_curve
    with pytest.raises(UserError, match="Did you mean 'codes'"):
        pictures.plot("code", axes=Figure().subplots())  # type: ignore[arg-type]
