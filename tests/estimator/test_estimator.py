"""The estimator: scikit-learn's own checks, and what its users do with images and tables."""

import copy
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from tests.builders import ActAt, Recorder, at_step, finish

import glo
from glo import GLO
from glo.data import Dataset, open_source
from glo.decoders.decode import decode
from glo.errors import UserError, UserTypeError
from glo.estimator.example_format import ExampleFormat
from glo.estimator.parameters import settings_of
from glo.priors import load_labels
from glo.runs.run import open_run

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TINY: dict[str, Any] = {
    "code_dim": 3,
    "width": 8,
    "epochs": 60,
    "batch_size": 16,
    "prior": "gaussian",
    "precision": "float32",
    "device": "cpu",
}
UNITS, OFFSET = np.array([1.0, 10.0, 1000.0, 1.0, 0.01, 1.0]), np.array([0, 5, 9e3, 0, 0, 3.0])


def table(n: int = 80, seed: int = 0) -> NDArray[np.float64]:
    """Make vectors near a plane, their columns in very different units."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 6))
    made = np.random.default_rng(seed).normal(size=(n, 2)) @ plane
    return made / np.linalg.norm(plane, axis=0) * UNITS + OFFSET


def spots(n: int = 30, side: int = 8, seed: int = 0) -> NDArray[np.uint8]:
    centre = np.random.default_rng(seed).uniform(0.2, 0.8, (n, 2, 1, 1))
    grid = np.stack(np.meshgrid(*[(np.arange(side) + 0.5) / side] * 2, indexing="ij"))
    return (255 * np.exp(-((grid - centre) ** 2).sum(1) / 0.05)).round().astype(np.uint8)


@pytest.fixture(scope="module")
def fitted() -> GLO:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GLO(**TINY).fit(table(), np.arange(80) % 2 + 3)


@pytest.fixture(scope="module")
def pictures() -> GLO:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GLO(**{**TINY, "width": 4, "epochs": 30}).fit(spots())


def test_scikit_learns_checks() -> None:
    expected = {
        "check_methods_subset_invariance": (
            "The last bits of a product in float32 depend on how many rows it has, and a search "
            "makes them larger: codes searched alone or together differ by about 1e-4."
        )
    }
    model = GLO(
        2, epochs=2, width=4, refine_passes=1, prior="gaussian", device="cpu", precision="float32"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(model, expected_failed_checks=expected, on_fail=None)
    failed = [found for found in results if found["status"] == "failed"]
    assert not failed, failed
    skipped = {found["check_name"] for found in results if found["status"] == "skipped"}
    # It wants an environment variable, and another kind of array.
    assert skipped <= {"check_array_api_input"}


def test_vectors_come_back_in_their_units(fitted: GLO) -> None:
    data = table()
    made = fitted.inverse_transform(fitted.transform(data))
    assert made.dtype == np.float64
    assert (((made - data) / data.std(0)) ** 2).mean() < 0.01
    drawn = fitted.sample(500, seed=1)
    assert np.all(np.abs(drawn.mean(0) - data.mean(0)) < data.std(0))
    assert np.all(np.abs(np.log(drawn.std(0) / data.std(0))) < 0.5)
    # Standard deviations: a table in other units has the same error.
    assert fitted.summary_["baselines"]["mean_image"] == pytest.approx(1, abs=1e-3)
    assert fitted.summary_["data"]["shape"] == [6]


def test_units_of_columns_do_not_change_what_is_learned(fitted: GLO) -> None:
    other = GLO(**TINY).fit(table() * 4.0)
    np.testing.assert_allclose(other.codes_, fitted.codes_, atol=1e-2)


def test_scores_are_negative_errors(fitted: GLO) -> None:
    scores = fitted.score_samples(table(20, seed=1))
    assert scores.shape == (20,)
    assert np.all(scores <= 0)
    assert fitted.score(table(20, seed=1)) == pytest.approx(scores.mean())
    far = table(20, seed=1)
    far[:, 0] += 8
    assert fitted.score(far) < 10 * scores.mean()
    made = fitted.inverse_transform(fitted.transform(table(20, seed=1)))
    error = (((made - table(20, seed=1)) / table().std(0)) ** 2).mean(1)
    np.testing.assert_allclose(-scores, error, rtol=1e-2, atol=1e-5)


def test_outliers_are_those_of_high_anomaly_scores(fitted: GLO) -> None:
    far = table(20, seed=1)
    far[:5, 0] += 8
    score = fitted.anomaly_score(far)
    assert score.shape == (20,)
    assert np.median(score[:5]) > max(2, score[5:].max())
    assert np.array_equal(fitted.predict(far) == -1, score > 1)
    assert np.array_equal(fitted.decision_function(far) < 0, score > 1)
    strict = copy.deepcopy(fitted).set_params(contamination=1e-6)
    assert (strict.predict(far) == -1).sum() <= (fitted.predict(far) == -1).sum()
    for share in (0, 0.6, "auto", np.nan):
        with pytest.raises(UserError, match=f"contamination is {share!r}"):
            strict.set_params(contamination=share).predict(far)


def test_the_share_of_outliers_among_unseen_examples_is_the_contamination() -> None:
    model = GLO(**TINY, contamination=0.2).fit(table(400))
    assert 0.1 < (model.predict(table(300, seed=1)) == -1).mean() < 0.3
    model.partial_fit(table(40, seed=2))
    with pytest.raises(UserError, match="no errors of its examples"):
        model.predict(table(3))


def test_what_is_missing_is_filled() -> None:
    whole = table(150)
    hidden = np.random.default_rng(1).random(whole.shape) < 0.2
    hidden[hidden.all(1), 0] = False
    holes = np.where(hidden, np.nan, whole)
    model = GLO(**{**TINY, "code_dim": 2}).fit(holes)
    made = model.inverse_transform(model.transform(holes))
    assert np.isfinite(made).all()
    errors = ((made - whole) / whole.std(0))[hidden] ** 2
    assert errors.mean() < 0.4
    assert np.median(errors) < 0.05


def test_a_flat_and_an_empty_column() -> None:
    data = np.column_stack([table(40), np.full(40, 7.1), np.full(40, np.nan)])
    model = GLO(**TINY).fit(data)
    made = model.inverse_transform(model.transform(data))
    np.testing.assert_allclose(made[:, 6], 7.1, atol=0.1)
    assert np.isfinite(made).all()
    assert model.summary_["mse"] < 0.1


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x,
        lambda x: x[..., None],
        lambda x: np.repeat(x[:, None], 3, axis=1),
        lambda x: np.repeat(x[..., None], 3, axis=3).astype(np.int64),
        lambda x: x / 255,
        lambda x: (x / 127.5 - 1).astype(np.float32),
        lambda x: x > 127,
        lambda x: x[:, :7, 1:6],
    ],
    ids=["hw", "hwc", "chw", "int", "unit", "symmetric", "bool", "odd sides"],
)
def test_images_go_back_in_their_form(change: Any) -> None:
    data = change(spots())
    form = ExampleFormat.of(data)
    samples = form.samples(data)
    assert samples.shape[1:] == (8, 8)
    back = form.restore(samples.batch(np.arange(len(data))))
    assert back.dtype == data.dtype
    assert back.shape == data.shape
    if data.shape[1:] != (7, 5):
        np.testing.assert_allclose(back, data, atol=1e-6)
    assert ExampleFormat.from_dict(form.to_dict()) == form


def test_images(pictures: GLO) -> None:
    made = pictures.inverse_transform(pictures.transform(spots()))
    assert made.dtype == np.uint8
    assert made.shape == (30, 8, 8)
    assert np.mean((made / 255.0 - spots() / 255.0) ** 2) < np.var(spots() / 255.0, axis=0).mean()
    assert pictures.sample(5, seed=1).shape == (5, 8, 8)
    assert pictures.n_features_in_ == 64
    assert list(pictures.get_feature_names_out()) == ["glo0", "glo1", "glo2"]


def test_missing_pixels(tmp_path: Path) -> None:
    holes = spots(side=7) / 255
    holes[:, :3, :2] = np.nan
    model = GLO(**{**TINY, "width": 4, "epochs": 2}).fit(holes)
    made = model.inverse_transform(model.transform(holes))
    assert made.shape == holes.shape
    assert np.isfinite(made).all()
    observed = model._form.samples(holes).observed(np.arange(1))
    assert observed is not None
    assert not observed[0, 0, 0, 0]
    assert observed[0, 0, -1, -1]


def test_sets_are_taken_as_they_are(pictures: GLO) -> None:
    data = Dataset(rows=spots()[..., None], name="spots")
    model = GLO(**{**TINY, "width": 4, "epochs": 30}).fit(data)
    assert np.array_equal(model.codes_, pictures.codes_)
    assert model.inverse_transform(model.transform(data)).shape == (30, 8, 8, 1)


def test_it_is_the_run_of_the_command_line(tmp_path: Path) -> None:
    finish(
        tmp_path / "run", Dataset(rows=spots()[..., None], name="spots"), epochs=2, prior="gaussian"
    )
    loaded = glo.load(tmp_path / "run")
    same = {name: getattr(loaded, name) for name in ("code_dim", "width", "epochs", "batch_size")}
    model = GLO(**same, prior="gaussian").fit(spots())
    assert np.array_equal(model.codes_, loaded.codes_)
    assert np.array_equal(model.transform(spots(5, seed=1)), loaded.transform(spots(5, seed=1)))
    assert np.array_equal(model.sample(3, seed=2), loaded.sample(3, seed=2))
    assert clone(loaded).fit(spots()).codes_.shape == (30, 4)


def test_loaded_runs_have_the_units_of_their_data(tmp_path: Path) -> None:
    deep = spots().astype(np.uint16) * 16
    symmetric = (spots() / 127.5 - 1).astype(np.float32)
    for number, (data, black, white) in enumerate([(deep, 0, 4095), (symmetric, -1, 1)]):
        finish(tmp_path / str(number), open_source(data), epochs=2, prior="gaussian")
        loaded = glo.load(tmp_path / str(number))
        back = loaded.inverse_transform(loaded.transform(data[:5]))
        assert back.dtype == data.dtype
        decoder = open_run(tmp_path / str(number)).decoder
        wanted = decode(decoder, torch.from_numpy(loaded.transform(data[:5])))[:, 0].numpy()
        wanted = black + (wanted + 1) / 2 * (white - black)
        np.testing.assert_allclose(back, wanted, atol=(white - black) / 255)
    with pytest.raises(UserError, match=r"from -1 .* to 1"):
        loaded.transform(symmetric * 2)
    with pytest.raises(UserError, match="4095"):
        glo.load(tmp_path / "0").transform(spots())


def test_loaded_runs_have_the_columns_of_their_data(tmp_path: Path) -> None:
    frame = pd.DataFrame(table(), columns=list("abcdef"))
    finish(tmp_path / "run", open_source(frame), epochs=2, prior="gaussian")
    loaded = glo.load(tmp_path / "run")
    assert loaded.feature_names_in_.tolist() == list("abcdef")
    assert loaded.transform(frame).shape == (80, 4)
    with pytest.raises(ValueError, match="feature names"):
        loaded.transform(frame.rename(columns={"a": "x"}))
    assert np.abs(loaded.sample(50).mean(0) / table().mean(0) - 1)[2] < 0.5


@pytest.mark.parametrize("low", [-0.03, -0.4])
def test_an_unclear_range_is_refused_unless_it_is_given(low: float) -> None:
    data = np.maximum(spots() / 255, 0.2)
    data[3, 0, 0] = low
    with pytest.raises(UserError, match=f"{low}.*--pixel-range 0 1.*pixel_range"):
        GLO(**TINY).fit(data)
    model = GLO(**{**TINY, "epochs": 2}, settings={"pixel_range": (0, 1)}).fit(data)
    assert model.sample(9).min() >= 0
    assert model.transform(data - 1).shape == (30, 3)  # clipped, too


def test_save_and_load(fitted: GLO, tmp_path: Path) -> None:
    fitted.save(tmp_path / "mine")
    loaded = glo.load(tmp_path / "mine")
    new = table(10, seed=2)
    assert np.array_equal(loaded.transform(new), fitted.transform(new))
    assert np.array_equal(loaded.sample(4, label=4), fitted.sample(4, label=4))
    assert loaded.sample(1).dtype == np.float64
    assert {**loaded.get_params(), "device": "cpu"} == fitted.get_params()
    with pytest.raises(UserError, match="exists and is not empty"):
        fitted.save(tmp_path / "mine")
    (tmp_path / "mine" / "estimator.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        glo.load(tmp_path / "mine")


def test_pickles_and_copies_live_on() -> None:
    model = GLO(**{**TINY, "epochs": 2}).fit(table(20))
    expected, folder = model.transform(table(5)), model._store.folder
    content, twin = pickle.dumps(model), copy.deepcopy(model)
    del model
    assert np.array_equal(twin.transform(table(5)), expected)
    del twin
    assert not folder.exists()
    assert np.array_equal(pickle.loads(content).transform(table(5)), expected)


def test_a_run_folder_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    model = GLO(**{**TINY, "epochs": 2}, run_dir=tmp_path / "run").fit(table(20))
    again = clone(model).fit(table(20))
    assert np.array_equal(model.codes_, again.codes_)
    assert np.array_equal(glo.load(tmp_path / "run").codes_, model.codes_)
    with pytest.raises(UserError, match="other data"):
        clone(model).fit(table(21))


def test_labels(fitted: GLO) -> None:
    assert fitted.sample(3, label=3).shape == (3, 6)
    with pytest.raises(UserError, match="choose one of 3, 4"):
        fitted.sample(1, label=5)


def test_samples_do_not_depend_on_their_number(fitted: GLO) -> None:
    np.testing.assert_array_equal(fitted.sample(9, seed=3)[:4], fitted.sample(4, seed=3))
    assert not np.array_equal(fitted.sample(4, seed=4), fitted.sample(4, seed=3))
    assert fitted.sample(2, prior="mixture").shape == (2, 6)


def test_random_state() -> None:
    quick = {**TINY, "epochs": 1, "init": "gaussian"}

    def codes(**more: Any) -> NDArray[np.float32]:
        return GLO(**quick, **more).fit(table(20)).codes_

    assert np.array_equal(codes(random_state=3), codes(random_state=np.int64(3)))
    assert not np.array_equal(codes(), codes(random_state=3))
    first, second = (codes(random_state=np.random.RandomState(5)) for _ in range(2))
    assert np.array_equal(first, second)


def test_pipelines_and_grids() -> None:
    y = (table()[:, 0] > 0).astype(int)
    pipeline = make_pipeline(GLO(**TINY), LogisticRegression(C=100.0)).fit(table(), y)
    assert pipeline.score(table(), y) > 0.9
    quick = GLO(**{**TINY, "epochs": 1})
    grid = GridSearchCV(quick, {"code_dim": [1, 2]}, cv=2).fit(table(40))
    assert grid.best_params_["code_dim"] == 2


def test_warnings_say_what_is_wrong() -> None:
    with pytest.warns(ConvergenceWarning, match="all the same|All examples are the same"):
        GLO(**{**TINY, "epochs": 1, "init": "gaussian"}).fit(np.ones((10, 3)))


NAN = np.full((2, 6), np.nan)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (table(3)[:, :5], "X has 5 features, but GLO is expecting 6"),
        (NAN, "is missing"),
        (np.full((2, 6), np.inf), "contains infinity"),
        (spots(3), "fitted on"),
    ],
    ids=["columns", "all missing", "infinite", "images"],
)
def test_vectors_that_cannot_be_used(fitted: GLO, data: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        fitted.transform(data)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (spots(3, side=9), r"shape \(n, 9, 9\), but this model was fitted on \(n, 8, 8\)"),
        (spots(3) / 255, "fitted on uint8 pixels"),
        (spots(3).astype(int) * 2, "outside the range from 0 .* to 255"),
        (table(3), r"but this model was fitted on \(n, 8, 8\)|X has 6 features"),
    ],
    ids=["side", "floats", "range", "vectors"],
)
def test_images_that_cannot_be_used(pictures: GLO, data: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        pictures.transform(data)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"code_dim": "three"}, "code_dim is 'three'"),
        ({"constraint": "bal"}, "Did you mean 'ball'"),
        ({"settings": {"schedul": "constant"}}, "Did you mean 'schedule'"),
        ({"decoder": "dcgan"}, "use decoder 'mlp'"),
    ],
)
def test_settings_that_cannot_be_used(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        GLO(**{**TINY, **wrong}).fit(table(10))


NO_LABEL: list[Any] = [
    ["a", None, "a", "b"],
    [None, "a", "a", "b"],
    ["a", np.nan, "a", "b"],
    [0, None, 0, 1],
    np.array([0, np.nan, 0, 1]),
    pd.Series(["a", pd.NA, "a", "b"], dtype="string"),
    pd.Series(["a", None, "a", "b"], dtype="category"),
]


@pytest.mark.parametrize("y", NO_LABEL, ids=lambda y: f"{type(y).__name__} {list(y)}")
def test_every_example_has_a_label_or_none_has(y: Any) -> None:
    row = 0 if y[0] is None else 1
    with pytest.raises(UserError, match=f"^y lacks the label of example {row}; give each"):
        GLO(**TINY).fit(table(4), y)


def test_mistakes_with_codes_and_runs(fitted: GLO, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this run's have 3 numbers"):
        fitted.inverse_transform(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="contains NaN"):
        fitted.inverse_transform(np.full((1, 3), np.nan))
    with pytest.raises(NotFittedError, match="call fit"):
        GLO().sample(1)
    assert not hasattr(GLO(), "codes_")
    with pytest.raises(UserError, match="not a run folder"):
        glo.load(tmp_path)
    with pytest.raises(UserError, match="at least two examples"):
        GLO(**TINY).fit(spots(1))


def test_importing_glo_stays_fast() -> None:
    code = "import sys, glo; sys.exit(bool({'torch', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_learned_state(fitted: GLO) -> None:
    assert fitted.codes_.dtype == np.float32
    assert fitted.codes_.shape == (80, 3)
    assert isinstance(fitted.decoder_, torch.nn.Module)
    assert fitted.prior_.name == "gaussian"


def test_rows_come_and_go() -> None:
    labels = np.arange(80) % 2 + 3
    model = GLO(**TINY).fit(table(), labels)
    before, twin = model.codes_, copy.deepcopy(model)
    more = table(10, seed=2)
    model.add(more, np.full(10, 9))
    assert np.array_equal(model.codes_[:80], before)
    assert np.array_equal(twin.codes_, before), "a copy has a folder of its own"
    examples = model.inverse_transform(model.codes_[80:])
    assert (((examples - more) / table().std(0)) ** 2).mean() < 0.01
    assert load_labels(model._store.folder / "prior").names == ("3", "4", "9")
    assert model.transform(more).shape == (10, 3)
    model.add(more[:1]).forget([0, 90])
    assert np.array_equal(model.codes_[:79], before[1:])
    assert len(model.codes_) == 89
    loaded = pickle.loads(pickle.dumps(model))
    assert np.array_equal(loaded.codes_, model.codes_)
    with pytest.raises(ValueError, match="X has 5 features"):
        model.add(more[:, :5])
    with pytest.raises(UserError, match="Row 89"):
        model.forget(89)
    with pytest.raises(UserError, match="rows have shape"):
        model.forget([0.5])
    with pytest.raises(NotFittedError):
        GLO().forget([0])
    with pytest.raises(NotFittedError):
        GLO().add(more)
    with pytest.warns(ConvergenceWarning):
        model.add(more * 30)


def test_partial_fit_trains_the_decoder_on_each_batch() -> None:
    model = GLO(**{**TINY, "batch_size": 8}).partial_fit(table(40))
    assert model.n_iter_ == 1
    new = table(40, seed=3)
    error, codes = -model.score(new), model.codes_
    weights = {k: v.clone() for k, v in model.decoder_.state_dict().items()}
    for seed in range(4, 10):
        model.partial_fit(table(40, seed=seed))
    assert model.codes_.shape == (280, 3)
    assert np.array_equal(model.codes_[:40], codes)
    assert any(not torch.equal(v, weights[k]) for k, v in model.decoder_.state_dict().items())
    assert -model.score(new) < 0.7 * error
    with pytest.raises(ValueError, match="X has 5 features"):
        model.partial_fit(new[:, :5])


def test_fit_transform_returns_the_codes_of_the_fit() -> None:
    model = GLO(**{**TINY, "epochs": 2})
    codes = model.fit_transform(table(20))
    assert np.array_equal(codes, model.codes_)
    assert np.array_equal(model.transform(table(20)[::-1]), codes[::-1])
    holes = np.where(np.arange(120).reshape(20, 6) % 7 == 0, np.nan, table(20))
    assert np.array_equal(
        clone(model).fit_transform(holes), clone(model).fit(holes).transform(holes)
    )


def test_progress_curve_callbacks_and_validation(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder()
    callbacks = [recorder, *glo.default_callbacks()]
    quick = {**TINY, "epochs": 3}
    model = GLO(**quick, verbose=1, callbacks=callbacks, validation=table(10, seed=9))
    model.fit(table(20))
    assert "epoch 3/3" in capsys.readouterr().out
    assert model.n_iter_ == len(model.loss_curve_) == 3
    assert model.loss_curve_ == [v.loss for hook, v in recorder.events if hook == "on_epoch_end"]
    assert model.validation_score_ == model.score(table(10, seed=9))
    silent = GLO(**quick, callbacks=[]).fit(table(20))
    assert capsys.readouterr().out == ""
    assert silent.loss_curve_ == []
    assert silent.validation_score_ is None


@pytest.mark.parametrize("via", ["parameter", "settings"])
def test_a_fraction_is_held_out(via: str) -> None:
    X = table(40)
    choice: dict[str, Any] = {"validation": 0.1}
    if via == "settings":
        choice = {"settings": choice}
    model = GLO(**{**TINY, "epochs": 3}, **choice)
    codes = model.fit_transform(X)
    held_out = model.validation_rows_
    assert (len(held_out), len(codes), len(model.codes_)) == (4, 40, 36)
    assert np.array_equal(codes[np.setdiff1d(np.arange(40), held_out)], model.codes_)
    assert model.validation_score_ == pytest.approx(model.score(X[held_out]))
    assert model.summary_["validation"]["n"] == 4
    plain = GLO(**{**TINY, "epochs": 3}).fit(np.delete(X, held_out, axis=0))
    assert np.array_equal(plain.codes_, model.codes_)
    assert len(plain.validation_rows_) == 0


def test_a_fraction_survives_a_save(tmp_path: Path) -> None:
    model = GLO(**{**TINY, "epochs": 1}, validation=0.1).fit(table(40))
    model.save(tmp_path / "run")
    again = glo.load(tmp_path / "run")
    assert np.array_equal(again.codes_, model.codes_)
    assert np.array_equal(clone(again).fit(table(40)).validation_rows_, model.validation_rows_)


def test_examples_to_validate_on_are_checked() -> None:
    for wrong in (table(10)[:, :4], 1.5, np.zeros((3, 8, 8), np.uint8)):
        with pytest.raises(ValueError, match=r"features|validation is 1\.5|shape"):
            GLO(**TINY, validation=wrong).fit(table(20))


def test_partial_fit_holds_nothing_out() -> None:
    model = GLO(**TINY, validation=0.5).partial_fit(table(20))
    assert len(model.codes_) == 20


def test_a_stopped_fit_is_resumed(tmp_path: Path) -> None:
    def ask(training: Any) -> None:
        training.should_stop = True

    model = GLO(**{**TINY, "epochs": 3}, run_dir=tmp_path / "run")
    with pytest.raises(UserError, match="run_dir"):
        clone(model).set_params(callbacks=[ActAt(at_step(2), ask)]).fit(table(20))
    whole = GLO(**{**TINY, "epochs": 3}).fit(table(20))
    assert np.array_equal(model.fit(table(20)).codes_, whole.codes_)


def test_parameters_win_over_settings_where_they_are_not_defaults() -> None:
    base = glo.Settings(code_dim=7, warmup=0.25, schedule="constant", seed=5)
    settings = settings_of(GLO(settings=base, width=8).get_params(deep=False))
    assert (settings.code_dim, settings.warmup, settings.width, settings.seed) == (7, 0.25, 8, 5)
    assert settings_of(GLO(9, settings=base).get_params(deep=False)).code_dim == 9


def test_any_module_is_a_decoder() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.ReLU(), torch.nn.Linear(16, 6))
    weights = module[0].weight.detach().clone()
    model = GLO(**{**TINY, "decoder": module, "epochs": 20}).fit(table())
    assert torch.equal(module[0].weight, weights), "the user's module is not trained"
    assert model.inverse_transform(model.codes_).shape == (80, 6)
    twin = pickle.loads(pickle.dumps(model))
    assert np.array_equal(twin.codes_, model.codes_)
    assert clone(model).fit(table(20)).codes_.shape == (20, 3)
    grid = GridSearchCV(clone(model).set_params(epochs=1), {"code_lr": [0.01, 0.02]}, cv=2)
    assert grid.fit(table(40)).best_params_["code_lr"] in (0.01, 0.02)


def test_a_changed_folder_is_fitted_no_more(tmp_path: Path) -> None:
    model = GLO(**{**TINY, "epochs": 2}, run_dir=tmp_path / "run").fit(table(20))
    model.add(table(3, seed=1))
    assert glo.load(tmp_path / "run").codes_.shape == (23, 3)
    with pytest.raises(UserError, match=r"changed after training \(3 added\)"):
        clone(model).fit(table(20))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_are_the_examples_that_arrays_are(dtype: torch.dtype) -> None:
    options = {**TINY, "epochs": 1}
    pixels = torch.from_numpy(spots()).div(255)[:, None].expand(-1, 3, -1, -1).to(dtype)
    vectors = torch.from_numpy(table())
    for X in (pixels, vectors.to(dtype)):
        expected = GLO(**options).fit(X.float().numpy()).codes_
        layouts = [X.clone().requires_grad_(), X.transpose(0, 1).contiguous().transpose(0, 1)]
        if X.ndim == 4:
            layouts.append(X.contiguous(memory_format=torch.channels_last))
        for tensor in layouts:
            model = GLO(**options).fit(tensor, (torch.arange(len(X)) % 2).to(dtype))
            assert np.array_equal(model.transform(tensor), model.codes_)
            if dtype != torch.float64:
                assert np.array_equal(model.codes_, expected)


@pytest.mark.parametrize("make", [torch.Tensor.to_sparse, lambda X: X.to("meta")])
def test_tensors_without_values_in_memory_are_refused(make: Any) -> None:
    for X in (torch.ones(20, 3), torch.ones(20, 8, 8)):
        with pytest.raises(UserTypeError, match="X is"):
            GLO(**TINY).fit(make(X))


def test_the_kind_of_search_is_no_metadata() -> None:
    assert not hasattr(GLO, "set_transform_request")
