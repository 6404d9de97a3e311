"""Settings: one declaration of types, defaults, ranges and help texts."""

import dataclasses
import inspect
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo import GLO
from glo.config.settings import Settings, allowed_values
from glo.data import SourceOptions
from glo.errors import UserError
from glo.utils.json_toml import toml_lines

DECODERS = ("dcgan", "residual", "tensorlayer", "mlp")
FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_group_and_help(name: str) -> None:
    metadata = FIELDS[name].metadata
    assert metadata["group"] in {
        "Data",
        "Decoder",
        "Codes",
        "Training",
        "Prior",
        "Encoder",
        "Machine",
    }
    assert metadata["help"].endswith(".")
    assert len(metadata["help"]) > 15


def test_other_interfaces_have_the_same_defaults() -> None:
    keywords = inspect.signature(GLO).parameters
    for name in keywords.keys() & FIELDS.keys():
        assert keywords[name].default == FIELDS[name].default, name
    for field in dataclasses.fields(SourceOptions):
        is_setting = field.name not in ("split", "reading")
        assert not is_setting or field.default == FIELDS[field.name].default, field.name


@pytest.mark.parametrize(
    ("wrong", "near"), [("epohcs", "epochs"), ("code-dim", "code_dim"), ("bach_size", "batch_size")]
)
def test_an_unknown_name_suggests_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UserError, match=rf"^my.toml: .*'{wrong}'\. Did you mean '{near}'\?$"):
        Settings.from_mapping({wrong: 1}, where="my.toml")


def test_a_name_far_from_all_suggests_nothing() -> None:
    with pytest.raises(UserError, match=r"'qqq'\.$"):
        Settings.from_mapping({"qqq": 1})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("epochs", "3", "an integer of at least 1"),
        ("epochs", 2.5, "an integer of at least 1"),
        ("epochs", True, "an integer of at least 1"),
        ("epochs", 0, "an integer of at least 1"),
        ("batch_size", None, "an integer from 1 to 1048576"),
        ("size", 1, "an integer from 2 to 8192"),
        ("decoder_lr", "fast", "a number from 0.0 to 1000.0"),
        ("decoder_lr", False, "a number from 0.0 to 1000.0"),
        ("decoder_lr", -1.0, "a number from 0.0 to 1000.0"),
        ("decoder_lr", math.nan, "a number from 0.0 to 1000.0"),
        ("checkpoint_seconds", math.inf, "a number of at least 0.0"),
        ("shuffle", 1, "true or false"),
        ("loss", 3, "a string"),
        ("code_betas", [0.5], "two numbers from 0.0 to 0.999999"),
        ("code_betas", [0.5, "x"], "two numbers from 0.0 to 0.999999"),
        ("code_betas", (0.5, 1.0), "two numbers from 0.0 to 0.999999"),
        ("code_betas", 0.5, "two numbers from 0.0 to 0.999999"),
        ("validation", 1.0, "a fraction above 0 and below 1, or a path"),
        ("validation", 0.0, "a fraction above 0 and below 1, or a path"),
        ("validation", math.nan, "a fraction above 0 and below 1, or a path"),
        ("validation", "1.5", "a fraction above 0 and below 1, or a path"),
        ("validation", "", "a fraction above 0 and below 1, or a path"),
        ("validation", True, "a fraction above 0 and below 1, or a path"),
        ("patience", 0, "an integer of at least 1"),
        ("channels", 2, "one of 1, 3"),
        ("channels", True, "one of 1, 3"),
        ("crop", 5, "one of center, pad, stretch"),
        (
            "decoder",
            ":Mine",
            "one of dcgan, residual, tensorlayer, mlp, or a class as module:Class",
        ),
    ],
)
def test_a_value_that_is_not_allowed(name: str, value: Any, allowed: str) -> None:
    assert allowed_values(name) == allowed
    with pytest.raises(UserError) as caught:
        Settings(**{name: value})
    assert str(caught.value) == f"{name} is {value!r}; it must be {allowed}."
    with pytest.raises(UserError, match=f"^my.toml: {name} is "):
        Settings.from_mapping({name: value}, where="my.toml")


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [("init", "pac", "pca"), ("constraint", "bal", "ball"), ("decoder", "mpl", "mlp")],
)
def test_a_wrong_choice_suggests_the_nearest(name: str, value: str, near: str) -> None:
    with pytest.raises(UserError, match=rf"^{name} is '{value}'; .*Did you mean '{near}'\?$"):
        Settings(**{name: value})


def test_a_decoder_may_be_the_name_of_a_class() -> None:
    settings = Settings(decoder="no.such.module:Outer.Inner")
    assert settings.decoder == "no.such.module:Outer.Inner"


RATES = st.floats(0.0, 1e3)
BETAS = st.tuples(st.floats(0.0, 0.999), st.floats(0.0, 0.999))
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "size": st.none() | st.integers(2, 4096),
        "channels": st.sampled_from([None, 1, 3]),
        "crop": st.sampled_from(["center", "pad", "stretch"]),
        "validation": st.none() | st.floats(0.001, 0.999) | st.just("photos"),
        "loss": st.text(st.characters(exclude_categories=["Cs"])),
        "epochs": st.none() | st.integers(1, 2**60),
        "decoder_lr": RATES,
        "code_betas": BETAS,
        "shuffle": st.booleans(),
        "seed": st.integers(0, 2**63 - 1),
    },
)


@given(CHOICES)
def test_settings_round_trip_through_toml(choices: dict[str, Any]) -> None:
    settings = Settings(**choices)
    text = toml_lines(settings.to_dict())
    assert Settings.from_mapping(tomllib.loads(text)) == settings


def test_validation_is_a_fraction_or_a_path() -> None:
    values = ["0.05", 0.05, "photos/held out", Path("photos") / "held out"]
    found = [Settings(validation=value).validation for value in values]  # type: ignore[arg-type]
    assert found == [0.05, 0.05, "photos/held out", str(Path("photos") / "held out")]


def test_integers_become_floats_and_lists_tuples() -> None:
    settings = Settings.from_mapping({"decoder_lr": 1, "code_betas": [0, 0.9]})
    assert type(settings.decoder_lr) is float
    assert settings.code_betas == (0.0, 0.9)
    assert settings.to_dict()["code_betas"] == [0.0, 0.9]


@given(st.integers(1, 500), st.integers(1, 600), st.booleans())
def test_steps_per_epoch_is_the_number_of_batches(n: int, size: int, drop: bool) -> None:
    batches = [min(size, n - low) for low in range(0, n, size)]
    expected = [rows for rows in batches if rows == size] if drop and n >= size else batches
    settings = Settings(batch_size=size, drop_last=drop)
    assert settings.steps_per_epoch(n) == len(expected)


@given(st.integers(1, 100_000))
def test_small_data_sets_get_at_least_3000_steps(n: int) -> None:
    settings = Settings(batch_size=128, epochs=None)
    epochs = settings.epochs_for(n)
    per_epoch = settings.steps_per_epoch(n)
    assert epochs >= 12
    assert epochs * per_epoch >= 3000
    assert epochs == 12 or (epochs - 1) * per_epoch < 3000
    assert Settings(epochs=7).epochs_for(n) == 7
