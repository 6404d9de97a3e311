"""Options: command line over file over preset over default."""

import dataclasses
from pathlib import Path

import pytest

from glo.cli.options import NOTHING_GIVEN, Given, merge
from glo.config.presets import PRESETS
from glo.config.settings import Settings
from glo.errors import UserError


def test_there_is_an_option_for_every_setting_and_none_is_given() -> None:
    names = [field.name for field in dataclasses.fields(Settings)]
    assert [field.name for field in dataclasses.fields(Given)] == names
    assert set(vars(NOTHING_GIVEN).values()) == {None}


def test_nothing_given_is_the_default() -> None:
    assert merge("mnist", None, NOTHING_GIVEN) == (Settings(), "mnist")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_command_line_wins_over_file_over_preset_over_default(
    tmp_path: Path, preset: str
) -> None:
    base = Settings(**PRESETS[preset].settings)
    assert merge(preset, None, NOTHING_GIVEN) == (base, preset)
    (tmp_path / "c.toml").write_text("seed = 5\ncode_lr = 7\nshuffle = true\n")
    found, _ = merge(preset, tmp_path / "c.toml", Given(code_lr=8.0, refine_passes=0))
    want = dataclasses.replace(base, seed=5, code_lr=8.0, shuffle=True, refine_passes=0)
    assert found == want


def test_false_and_zero_are_values() -> None:
    found, _ = merge("mnist", None, Given(shuffle=False, refine_passes=0, seed=0))
    assert (found.shuffle, found.refine_passes) == (False, 0)


@pytest.mark.parametrize("text", ['preset = "paper"\n', '[run]\npreset = "paper"\nformat = 1\n'])
def test_a_file_may_name_the_preset(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_text(text + '[data]\nname = "x"\n')
    found, preset = merge(None, tmp_path / "c.toml", NOTHING_GIVEN)
    assert preset == "paper"
    assert (
        merge("tensorlayer-baseline", tmp_path / "c.toml", NOTHING_GIVEN)[1]
        == "tensorlayer-baseline"
    )
    assert found.code_lr == 10.0
    assert (
        merge("tensorlayer-baseline", tmp_path / "c.toml", NOTHING_GIVEN)[1]
        == "tensorlayer-baseline"
    )


@pytest.mark.parametrize("text", ['preset = "papr"\n', '[run]\npreset = "papr"\n'])
def test_a_file_with_an_unknown_preset(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(UserError, match="Did you mean 'paper'"):
        merge(None, tmp_path / "c.toml", NOTHING_GIVEN)


def test_a_value_out_of_range_anywhere(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("epochs = 0\n")
    with pytest.raises(UserError, match="toml: epochs is 0"):
        merge("mnist", tmp_path / "c.toml", NOTHING_GIVEN)
    with pytest.raises(UserError, match="code_dim is 0"):
        merge("mnist", None, Given(code_dim=0))
