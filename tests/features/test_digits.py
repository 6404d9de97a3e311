"""The network in the package: small, and as good as it says."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from glo.data import SourceOptions, open_source
from glo.errors import UserError
from glo.features.digits import DIGITS_FILE, digit_features, read_digit_features


def test_the_file_is_small_and_says_what_it_is() -> None:
    assert DIGITS_FILE.stat().st_size < 1_000_000
    about = digit_features().about
    assert about["command"].startswith("python benchmarks/digit_network.py")
    assert "training examples of mnist" in about["trained_on"]


def test_it_reads_unseen_digits_as_well_as_it_says() -> None:
    unseen = open_source("mnist", SourceOptions(size=32, split="test"))
    assert unseen.labels is not None
    rows = torch.arange(0, len(unseen), 5)
    digits = digit_features()
    found = torch.cat([digits.classify(unseen.batch(part)) for part in rows.split(500)])
    right = float((found.numpy() == unseen.labels[rows.numpy()]).mean())
    assert float(digits.about["test_accuracy"]) >= 0.993
    # Three deviations of a share of 2,000.
    assert right == pytest.approx(float(digits.about["test_accuracy"]), abs=0.005)


def test_a_network_of_ones_own_is_called_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "fashion.safetensors"
    save_file(load_file(DIGITS_FILE), path)
    own = read_digit_features(path)
    images = torch.rand(2, 1, 32, 32)
    assert own.name == "fashion"
    assert own.about == {}
    assert torch.equal(own(images), digit_features()(images))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="not a digit network"):
        read_digit_features(path)
    weights = load_file(DIGITS_FILE)
    save_file({**weights, "linear.weight": torch.zeros(64, 2048)}, path)
    with pytest.raises(UserError, match="not a digit network"):
        read_digit_features(path)
    path.write_bytes(DIGITS_FILE.read_bytes()[:5000])
    with pytest.raises(UserError, match="not a digit network"):
        read_digit_features(path)
