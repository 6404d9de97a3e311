"""One wrong run for every finding, a healthy one without, and the run that started it all."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo.config.presets import find_preset
from glo.config.settings import Settings
from glo.data.options import SourceOptions
from glo.data.sources import open_source
from glo.latents.init import fit_pca
from glo.training.diagnosis import Baselines, Finding, diagnose, explained_variance
from glo.training.loop import train
from glo.training.state import init_train_state
from glo.training.statistics import EpochRecord
from glo.training.validation import Check, ValidationRecord

BASELINES = Baselines(mean_image=0.25, pca=0.05)
SETTINGS = Settings(epochs=10, code_dim=32, batch_size=128, schedule="constant")
N = 6400
HEALTHY = EpochRecord(
    epoch=5,
    step=250,
    rows=N,
    loss=0.02,
    mse=0.02,
    code_gradient=0.01,
    code_update=0.05,
    code_step=0.04,
    code_travel=0.3,
    code_norm=0.8,
    decoder_gradient=0.1,
    decoder_step=0.05,
    output_mean=-0.6,
    output_std=0.4,
)
FROZEN = replace(HEALTHY, mse=0.2, code_update=8e-5)


def names(
    record: EpochRecord = HEALTHY,
    baselines: Baselines = BASELINES,
    settings: Settings = SETTINGS,
    *,
    n: int = N,
    last: bool = False,
) -> list[str]:
    found = diagnose(record, baselines, settings, mse=record.mse, n=n, last=last)
    for finding in found:
        assert re.fullmatch(r"[A-Z].*\.", finding.sentence), finding
    return [finding.name for finding in found]


@pytest.mark.parametrize("patience", [None, 5])
def test_held_out_examples_whose_error_rises(patience: int | None) -> None:
    checks = ValidationRecord.first(Check(epoch=2, error=0.03, mse=0.03))
    settings = replace(SETTINGS, patience=patience)

    def found(error: float) -> list[Finding]:
        record = checks.after(Check(epoch=5, error=error, mse=0.02))
        return diagnose(HEALTHY, BASELINES, settings, mse=0.02, n=N, last=False, validation=record)

    assert found(0.031) == []
    (finding,) = found(0.04)
    assert finding.name == "memorizes"
    for part in ("epoch 2 to 5", "0.0300 to 0.0400", "0.03 to 0.02"):
        assert part in finding.sentence
    # Not advised where it is set.
    assert ("patience" in finding.sentence) == (patience is None)


@pytest.mark.parametrize("last", [True, False])
def test_a_healthy_run_has_no_findings(last: bool) -> None:
    assert names(last=last) == []


def test_constant_data_is_the_only_finding() -> None:
    broken = replace(HEALTHY, mse=0.9, output_std=0.0, output_mean=1.0, code_update=0.0)
    assert names(broken, Baselines(mean_image=0.0, pca=0.0), n=3) == ["constant_data"]


def test_of_one_example_it_is_said_that_it_is_one() -> None:
    broken = replace(HEALTHY, mse=0.9)
    nothing = Baselines(mean_image=0.0, pca=0.0)
    (finding,) = diagnose(broken, nothing, SETTINGS, mse=0.9, n=1, last=True)
    assert finding.sentence.startswith("There is one example")


def test_a_saturated_decoder() -> None:
    record = replace(HEALTHY, mse=0.42, output_std=0.0, output_mean=-1.0)
    assert names(record) == ["saturated", "mean_image"]
    settings = replace(SETTINGS, decoder_optimizer="sgd", decoder_lr=1.0)
    (finding, _) = diagnose(record, BASELINES, settings, mse=0.42, n=N, last=False)
    for part in ("-1.00 everywhere", "decoder_lr 1 with sgd", "use decoder_optimizer = adam"):
        assert part in finding.sentence


def test_a_saturated_decoder_is_the_cause_of_frozen_codes() -> None:
    still = {"code_update": 1e-9, "output_std": 1e-4, "output_mean": -0.9999}
    assert names(replace(HEALTHY, mse=0.42, **still)) == ["saturated", "mean_image"]


@pytest.mark.parametrize(("optimizer", "word"), [("sgd", "is usual"), ("adam", "is unusual")])
def test_a_decoder_that_ignores_its_codes(optimizer: str, word: str) -> None:
    record = replace(HEALTHY, mse=0.25, output_std=0.001)
    settings = replace(SETTINGS, decoder_optimizer=optimizer)
    assert names(record, settings=settings) == ["ignores_codes", "mean_image"]
    (finding, _) = diagnose(record, BASELINES, settings, mse=0.25, n=N, last=False)
    assert word in finding.sentence


def test_a_decoder_that_hardly_learns() -> None:
    record = replace(HEALTHY, mse=0.24, decoder_step=0.0049)
    assert names(record) == ["slow_decoder", "mean_image"]
    assert names(replace(record, decoder_step=0.0051)) == ["mean_image"]
    # One that has learned may rest.
    assert names(replace(record, mse=0.2)) == []
    plain = replace(SETTINGS, decoder_optimizer="sgd", decoder_lr=0.001)
    for settings, words in (
        (plain, "0.49 % of their length, with sgd and decoder_lr 0.001; use decoder_optimizer"),
        (plain, "a decoder_lr 100 times larger"),
        (SETTINGS, "; use a decoder_lr 10 times larger"),
    ):
        (finding, _) = diagnose(record, BASELINES, settings, mse=0.24, n=N, last=False)
        assert words in finding.sentence


def test_a_decoder_rests_at_the_end_of_a_schedule() -> None:
    record = replace(HEALTHY, mse=0.24, epoch=10, step=500, decoder_step=0.0005)
    assert names(record, settings=replace(SETTINGS, schedule="constant"))[0] == "slow_decoder"
    assert names(record, settings=replace(SETTINGS, schedule="cosine")) == ["mean_image"]


def test_frozen_codes() -> None:
    record = replace(HEALTHY, mse=0.2, code_update=8e-5, code_norm=0.8, code_gradient=1.5e-4)
    assert names(record) == ["frozen_codes"]
    settings = replace(SETTINGS, code_grad_reduction="mean", batch_size=512, code_lr=0.1)
    (finding,) = diagnose(record, BASELINES, settings, mse=0.2, n=N, last=False)
    parts = ["8.0e-05", "0.01 %", "1.5e-04", "code_lr is 0.1", "batch size (512)", "500 times"]
    for part in parts:
        assert part in finding.sentence
    assert (
        "batch size"
        not in diagnose(record, BASELINES, SETTINGS, mse=0.2, n=N, last=False)[0].sentence
    )


def test_codes_that_never_moved_are_frozen() -> None:
    assert names(replace(HEALTHY, mse=0.2, code_update=0.0)) == ["frozen_codes"]


def test_codes_that_have_arrived_are_not_frozen() -> None:
    assert names(replace(HEALTHY, mse=0.01, code_update=1e-6)) == []


def test_codes_at_the_end_of_a_schedule_are_not_frozen() -> None:
    # The last of ten epochs of a cosine: the rates are below a hundredth of their peak.
    record = replace(HEALTHY, mse=0.2, epoch=10, step=500, code_update=0.0005)
    assert names(record, settings=replace(SETTINGS, schedule="constant")) == ["frozen_codes"]
    assert names(record, settings=replace(SETTINGS, schedule="cosine")) == []
    still = replace(record, code_update=1e-7)
    assert names(still, settings=replace(SETTINGS, schedule="cosine")) == ["frozen_codes"]


def test_codes_in_a_warm_up_are_not_frozen() -> None:
    record = replace(HEALTHY, mse=0.2, epoch=1, step=50, code_update=0.001)
    assert names(record, settings=replace(SETTINGS, warmup=1.0)) == []
    assert names(record) == ["frozen_codes"]


@pytest.mark.parametrize(("mse", "side"), [(0.24, "near"), (0.26, "above")])
def test_the_mean_image(mse: float, side: str) -> None:
    record = replace(HEALTHY, mse=mse)
    assert names(record) == ["mean_image"]
    (finding,) = diagnose(record, BASELINES, SETTINGS, mse=mse, n=N, last=True)
    assert f"The error {mse:.4f} is {side} that of the mean example (0.2500)" in finding.sentence
    assert "0.0500" in finding.sentence


def test_the_first_steps_are_excused_unless_a_cause_is_known() -> None:
    early = replace(HEALTHY, mse=0.25, step=199)
    assert names(early) == []
    assert names(replace(early, step=200)) == ["mean_image"]
    assert names(early, last=True) == ["mean_image"]
    assert names(replace(early, code_update=0.0)) == ["frozen_codes", "mean_image"]


def test_a_decoder_may_ignore_its_codes_for_a_few_steps() -> None:
    early = replace(HEALTHY, mse=0.25, output_std=0.001, step=3)
    assert names(early) == []
    assert names(early, last=True) == ["ignores_codes", "mean_image"]
    # What does not come back is said at once.
    assert names(replace(early, output_mean=-1.0))[0] == "saturated"


def test_a_short_run_is_told_to_go_on() -> None:
    short = replace(HEALTHY, mse=0.4, step=60)
    (finding,) = diagnose(short, BASELINES, SETTINGS, mse=0.4, n=N, last=True)
    assert "output is not even the average example" in finding.sentence
    assert "60 steps are few, so train longer (epochs)." in finding.sentence
    (finding,) = diagnose(replace(short, step=5000), BASELINES, SETTINGS, mse=0.25, n=N, last=True)
    assert "output is the average example" in finding.sentence
    assert "steps" not in finding.sentence


def advice(sentence: str) -> list[tuple[str, str]]:
    """Return the names and values of the settings that a sentence advises."""
    return re.findall(r"(\w+) = ([\w.]*\w)", sentence)


def test_what_is_set_already_is_not_advised() -> None:
    for record, last in ((replace(HEALTHY, mse=0.06), True), (FROZEN, False)):
        for init, advised in (("pca", False), ("gaussian", True)):
            settings = replace(SETTINGS, init=init)
            (finding,) = diagnose(record, BASELINES, settings, mse=record.mse, n=N, last=last)
            assert (("init", "pca") in advice(finding.sentence)) == advised


def test_of_advised_settings_only_the_others_are_named() -> None:
    for changes, advised in (
        ({"code_optimizer": "sgd"}, [("code_optimizer", "adam")]),
        ({"code_grad_reduction": "mean"}, [("code_grad_reduction", "row")]),
        ({}, []),
    ):
        settings = replace(SETTINGS, **changes)
        (finding,) = diagnose(FROZEN, BASELINES, settings, mse=FROZEN.mse, n=N, last=False)
        assert advice(finding.sentence) == advised
        assert "a code_lr 500 times larger" in finding.sentence
    saturated = replace(HEALTHY, mse=0.42, output_std=0.0, output_mean=-1.0)
    for optimizer, rate, advised in (
        ("muon", 0.002, [("decoder_optimizer", "adam")]),
        ("adam", 0.1, [("decoder_lr", "0.002")]),
        ("adam", 0.002, []),
        ("adam", 0.0005, []),
    ):
        settings = replace(SETTINGS, decoder_optimizer=optimizer, decoder_lr=rate)
        (finding, _) = diagnose(saturated, BASELINES, settings, mse=0.42, n=N, last=False)
        assert advice(finding.sentence) == advised
        assert "10 times smaller" in finding.sentence


def test_where_no_setting_is_left_the_data_are_to_be_checked() -> None:
    still = replace(FROZEN, code_update=0.0, code_gradient=0.0)
    (finding,) = diagnose(still, BASELINES, SETTINGS, mse=still.mse, n=N, last=False)
    assert finding.name == "frozen_codes"
    assert advice(finding.sentence) == []
    assert "check the data" in finding.sentence
    assert "times larger" not in finding.sentence


def test_a_rate_of_zero_is_not_to_be_multiplied() -> None:
    settings = replace(SETTINGS, code_lr=0.0, decoder_lr=0.0)
    still = replace(FROZEN, mse=0.25, code_update=0.0, decoder_step=0.0, output_std=0.0)
    found = {
        finding.name: advice(finding.sentence)
        for finding in diagnose(still, BASELINES, settings, mse=0.25, n=N, last=True)
    }
    assert found["slow_decoder"] == [("decoder_lr", "0.004")]
    assert found["frozen_codes"] == [("code_lr", "0.015")]


def test_data_that_hardly_vary_are_the_cause_of_every_other_finding() -> None:
    small = Baselines(mean_image=0.0013, pca=0.0011)
    for record in (replace(HEALTHY, mse=0.7), replace(FROZEN, mse=0.0012)):
        (finding,) = diagnose(record, small, SETTINGS, mse=record.mse, n=N, last=True)
        assert finding.name == "low_variance"
        assert "0.0013" in finding.sentence
        assert "range" in finding.sentence
        assert not any(name in finding.sentence for name in vars(SETTINGS))
    good = replace(HEALTHY, mse=0.0001)
    assert diagnose(good, small, SETTINGS, mse=0.0001, n=N, last=True) == []


def test_vectors_do_not_saturate() -> None:
    record = replace(HEALTHY, mse=0.42, output_std=0.0, output_mean=-1.0)
    settings = replace(SETTINGS, decoder="mlp")
    assert names(record, settings=settings)[0] == "ignores_codes"


def test_a_decoder_of_few_steps_is_to_be_trained_for_longer() -> None:
    record = replace(HEALTHY, mse=0.25, output_std=0.001, step=3)
    (finding, _) = diagnose(record, BASELINES, SETTINGS, mse=0.25, n=N, last=True)
    assert "3 steps are few: train longer (epochs)" in finding.sentence


SIZES = st.sampled_from([0.0, 1e-9, 1e-5, 1e-3, 0.03, 0.2, 0.9, 3.0])
RATES = st.sampled_from([0.0, 1e-6, 1e-3, 0.002, 0.004, 0.015, 1.0, 999.0])


@given(
    settings=st.builds(
        Settings,
        decoder=st.sampled_from([None, "mlp"]),
        init=st.sampled_from(["pca", "gaussian"]),
        decoder_optimizer=st.sampled_from(["muon", "adam", "sgd"]),
        code_optimizer=st.sampled_from(["adam", "sgd"]),
        code_grad_reduction=st.sampled_from(["row", "mean"]),
        decoder_lr=RATES,
        code_lr=RATES,
        code_dim=st.integers(1, 40),
        epochs=st.integers(1, 50),
        schedule=st.sampled_from(["cosine", "constant"]),
        warmup=st.sampled_from([0.0, 0.5, 1.0]),
    ),
    record=st.builds(
        replace,
        st.just(HEALTHY),
        step=st.sampled_from([1, 50, 199, 250, 5000]),
        mse=SIZES,
        code_update=SIZES,
        code_norm=SIZES,
        code_gradient=SIZES,
        decoder_step=SIZES,
        output_mean=SIZES,
        output_std=SIZES,
    ),
    baselines=st.builds(Baselines, mean_image=SIZES, pca=SIZES),
    n=st.integers(1, 60),
    last=st.booleans(),
)
def test_no_settings_and_no_record_lead_to_useless_advice(
    settings: Settings, record: EpochRecord, baselines: Baselines, n: int, last: bool
) -> None:
    for finding in diagnose(record, baselines, settings, mse=record.mse, n=n, last=last):
        assert re.fullmatch(r"[A-Z].*\.", finding.sentence)
        assert not re.search(r"\b(image|nan|inf|None)|  |[;,:] ?\.", finding.sentence)
        for name, value in advice(finding.sentence):
            assert str(getattr(settings, name)) != value
            Settings.from_mapping({name: float(value) if name.endswith("lr") else value})
        for name, factor, side in re.findall(r"a (\w+) (\S+) times (\w+)", finding.sentence):
            rate = getattr(settings, name)
            factor = float(factor) if side == "larger" else 1 / float(factor)
            assert rate > 0
            Settings.from_mapping({name: rate * factor})


def test_worse_than_pca_is_said_at_the_end() -> None:
    record = replace(HEALTHY, mse=0.06)
    assert names(record) == []
    assert names(record, last=True) == ["worse_than_pca"]
    (finding,) = diagnose(record, BASELINES, SETTINGS, mse=0.06, n=N, last=True)
    assert "0.0600 is above that of PCA with 32 components (0.0500)" in finding.sentence


def test_the_error_that_is_judged_is_the_one_given() -> None:
    assert diagnose(HEALTHY, BASELINES, SETTINGS, mse=0.06, n=N, last=True) != []
    assert diagnose(replace(HEALTHY, mse=9.0), BASELINES, SETTINGS, mse=0.02, n=N, last=True) == []


@pytest.mark.parametrize(("n", "found"), [(31, True), (32, True), (33, False)])
def test_more_dimensions_than_examples(n: int, found: bool) -> None:
    assert names(n=n) == ["more_dimensions_than_examples"] * found


def test_explained_variance() -> None:
    assert explained_variance(0.25, BASELINES) == 0.0
    assert explained_variance(0.0, BASELINES) == 1.0
    assert explained_variance(0.5, BASELINES) == -1.0
    constant = Baselines(mean_image=0.0, pca=0.0)
    assert explained_variance(0.0, constant) == 1.0
    assert explained_variance(0.1, constant) == 0.0


def test_the_described_project_is_told_that_its_codes_are_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLO_CACHE", str(tmp_path))
    chosen = find_preset("tensorlayer-baseline").settings | {
        "limit": 300,
        "epochs": 1,
        "device": "cpu",
    }
    settings = Settings(**chosen)
    samples = open_source("mnist", SourceOptions(limit=settings.limit))
    pca = fit_pca(samples, settings.code_dim)
    training = init_train_state(samples, settings, pca)
    *_, record = train(training, samples)
    assert isinstance(record, EpochRecord)
    baselines = Baselines(mean_image=pca.mean_image_mse, pca=pca.pca_mse)
    assert baselines.mean_image == pytest.approx(0.245, abs=0.015)
    for last in (False, True):
        found = diagnose(record, baselines, settings, mse=record.mse, n=300, last=last)
        names_found = [f.name for f in found]
        assert names_found == ["slow_decoder", "frozen_codes", "mean_image"]
        frozen = next(f for f in found if f.name == "frozen_codes").sentence
        assert (
            "the mean of code_grad_reduction divides each code's gradient by the batch size (512)"
            in frozen
        )
        assert "use code_optimizer = adam with code_grad_reduction = row" in frozen
