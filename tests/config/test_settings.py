"""Settings: every mistake is named, and what is written can be read."""

import dataclasses
import math
import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo.config.fields import toml_lines
from glo.config.settings import Settings
from glo.errors import UserError

FIELDS = dataclasses.fields(Settings)


@pytest.mark.parametrize("name", [field.name for field in FIELDS])
def test_every_setting_is_explained(name: str) -> None:
    field = next(field for field in FIELDS if field.name == name)
    assert field.metadata["group"] in {"Data", "Decoder", "Codes", "Training", "Prior", "Machine"}
    assert field.metadata["help"].endswith(".")
    assert len(field.metadata["help"]) > 15


@pytest.mark.parametrize(
    ("wrong", "near"), [("epohcs", "epochs"), ("code-dim", "code_dim"), ("bach_size", "batch_size")]
)
def test_an_unknown_name_suggests_the_near_one(wrong: str, near: str) -> None:
    message = f"my.toml has no setting '{wrong}'. Did you mean '{near}'?"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        Settings.from_mapping({wrong: 1}, where="my.toml")


def test_a_name_far_from_all_suggests_nothing() -> None:
    with pytest.raises(UserError, match=r"has no setting 'qqq'\.$"):
        Settings.from_mapping({"qqq": 1})


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("epochs", "3", "a whole number"),
        ("epochs", 2.5, "a whole number"),
        ("epochs", True, "a whole number"),
        ("batch_size", None, "a whole number"),
        ("decoder_lr", "fast", "a number"),
        ("decoder_lr", False, "a number"),
        ("shuffle", 1, "true or false"),
        ("loss", 3, "a text"),
        ("code_betas", [0.5], "two numbers"),
        ("code_betas", [0.5, "x"], "two numbers"),
        ("code_betas", 0.5, "two numbers"),
    ],
)
def test_a_value_of_the_wrong_kind(name: str, value: object, kind: str) -> None:
    message = f"my.toml gives {name} = {value!r}; it must be {kind}"
    with pytest.raises(UserError, match=re.escape(message)):
        Settings.from_mapping({name: value}, where="my.toml")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("size", 1, "from 2 to 4096"),
        ("limit", 0, "at least 1"),
        ("width", 3, "from 4 to 1024"),
        ("code_dim", 0, "from 1 to 65536"),
        ("epochs", 0, "at least 1"),
        ("batch_size", 0, "from 1 to 1048576"),
        ("decoder_lr", -1.0, "from 0.0 to 1000.0"),
        ("decoder_lr", math.nan, "from 0.0 to 1000.0"),
        ("code_lr", math.inf, "from 0.0 to 1000000.0"),
        ("code_betas", (0.5, 1.0), "from 0.0 to 0.999999"),
        ("decoder_betas", (-0.1, 0.9), "from 0.0 to 0.999999"),
        ("warmup", 1.1, "from 0.0 to 1.0"),
        ("ema_decay", 1.0, "from 0.0 to 0.999999"),
        ("refine_passes", -1, "from 0 to 10000"),
        ("seed", -1, f"from 0 to {2**63 - 1}"),
        ("checkpoint_seconds", math.nan, "at least 0.0"),
    ],
)
def test_a_value_out_of_range(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(UserError, match=rf"^{name} is .*; it must be {re.escape(allowed)}\.$"):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("init", "pac", "init is 'pac'; it must be one of pca, gaussian. Did you mean 'pca'?"),
        ("constraint", "bal", "it must be one of ball, sphere, free. Did you mean 'ball'?"),
        (
            "decoder",
            "zzz",
            "decoder is 'zzz'; it must be one of dcgan, residual, tensorlayer, mlp, or a class as "
            "module:Class.",
        ),
        ("decoder", "mpl", "or a class as module:Class. Did you mean 'mlp'?"),
        ("decoder", ":Mine", "or a class as module:Class."),
        ("channels", 2, "channels is 2; it must be one of 1, 3."),
        ("crop", 5, "crop is 5; it must be one of center, pad, stretch."),
    ],
)
def test_a_value_that_is_no_choice(name: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message) + "$"):
        Settings.from_mapping({name: value})


def test_a_decoder_may_be_a_class_and_is_only_a_name_here() -> None:
    settings = Settings.from_mapping({"decoder": "no.such.module:Outer.Inner"})
    assert settings.decoder == "no.such.module:Outer.Inner"


def test_unset_choices_stay_unset() -> None:
    settings = Settings.from_mapping({"decoder": None, "epochs": None})
    assert settings.decoder is None
    assert settings.epochs is None


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().epochs = 3  # type: ignore[misc]


RATES = st.floats(0.0, 1e3)
BETAS = st.tuples(st.floats(0.0, 0.999), st.floats(0.0, 0.999))
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "size": st.integers(2, 4096),
        "channels": st.sampled_from([1, 3]),
        "crop": st.sampled_from(["center", "pad", "stretch"]),
        "loss": st.text(st.characters(exclude_categories=["Cs"])),
        "epochs": st.integers(1, 2**60),
        "decoder_lr": RATES,
        "code_lr": RATES,
        "decoder_betas": BETAS,
        "code_betas": BETAS,
        "shuffle": st.booleans(),
        "seed": st.integers(0, 2**63 - 1),
    },
)


@given(CHOICES)
def test_toml_gives_the_same_settings_back(choices: dict[str, Any]) -> None:
    settings = Settings(**choices)
    text = toml_lines(settings.to_dict())
    assert Settings.from_mapping(tomllib.loads(text)) == settings


def test_whole_numbers_stand_for_rates_and_lists_for_pairs() -> None:
    settings = Settings.from_mapping({"decoder_lr": 1, "code_betas": [0, 0.9]})
    assert type(settings.decoder_lr) is float
    assert settings.code_betas == (0.0, 0.9)
    assert settings.to_dict()["code_betas"] == [0.0, 0.9]


@given(st.integers(1, 500), st.integers(1, 600), st.booleans())
def test_steps_per_epoch_counts_the_batches(n: int, size: int, drop: bool) -> None:
    batches = [min(size, n - low) for low in range(0, n, size)]
    kept = [rows for rows in batches if rows == size] if drop and n >= size else batches
    settings = Settings(batch_size=size, drop_last=drop)
    assert settings.steps_per_epoch(n) == len(kept)


@given(st.integers(1, 100_000))
def test_small_sets_get_at_least_3000_steps(n: int) -> None:
    settings = Settings(batch_size=128, epochs=None)
    epochs = settings.epochs_for(n)
    per_epoch = settings.steps_per_epoch(n)
    assert epochs >= 25
    assert epochs * per_epoch >= 3000
    assert epochs == 25 or (epochs - 1) * per_epoch < 3000
    assert Settings(epochs=7).epochs_for(n) == 7
