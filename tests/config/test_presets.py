"""Presets: valid settings that differ from the defaults, and suggestions."""

import re

import pytest

from glo.config.presets import PRESETS, find_preset, recommend_preset
from glo.config.settings import Settings
from glo.errors import UserError


@pytest.mark.parametrize("name", PRESETS)
def test_settings_of_presets_are_valid(name: str) -> None:
    preset = find_preset(name)
    settings = Settings.from_mapping(preset.settings, where=name)
    for key, value in preset.settings.items():
        assert getattr(settings, key) == value
    assert preset.about.endswith(".")
    assert "\n" not in preset.about


@pytest.mark.parametrize("name", PRESETS)
def test_settings_of_presets_differ_from_the_defaults(name: str) -> None:
    defaults = Settings()
    idle = [k for k, v in find_preset(name).settings.items() if getattr(defaults, k) == v]
    assert idle == []


def test_tensorlayer_baseline() -> None:
    settings = Settings(**find_preset("tensorlayer-baseline").settings)
    assert (settings.decoder, settings.limit, settings.batch_size) == ("tensorlayer", 50_000, 512)
    assert (settings.decoder_lr, settings.code_lr, settings.code_grad_reduction) == (
        1e-3,
        0.1,
        "mean",
    )
    assert (settings.decoder_optimizer, settings.code_optimizer) == ("sgd", "sgd")
    assert (settings.shuffle, settings.drop_last, settings.project_every) == (False, True, "epoch")
    assert settings.steps_per_epoch(50_000) * settings.epochs_for(50_000) == 97 * 25
    assert settings.gaussian_std == pytest.approx(32**-0.5)


def test_an_unknown_preset_suggests() -> None:
    message = "There is no preset 'mnits'; there are "
    with pytest.raises(UserError, match=f"{re.escape(message)}.*Did you mean 'mnist'\\?$"):
        find_preset("mnits")


@pytest.mark.parametrize("n", [1, 1000, 1001, 10**9])
@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 128, 128), (1, 64, 64), (5,)])
def test_recommend_preset_for_colour_images_only(shape: tuple[int, ...], n: int) -> None:
    name = recommend_preset(shape, n)
    assert (name is None) == (shape[0] != 3)
    assert name is None or find_preset(name).settings["channels"] == 3
    assert (name == "few-shot") == (shape[0] == 3 and n <= 1000)
