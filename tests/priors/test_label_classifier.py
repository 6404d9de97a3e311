"""Label classifier, and samples of one label."""

import math
from pathlib import Path

import pytest
import torch
from tests.builders import flip

from glo.errors import UserError
from glo.priors import (
    GaussianPrior,
    LabelClassifier,
    MixturePrior,
    load_labels,
    sample_label,
    save_labels,
)
from glo.utils.random import normal

CENTRES = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])


def clusters(n: int = 600) -> tuple[torch.Tensor, torch.Tensor]:
    which = torch.arange(n) % 3
    return CENTRES[which] + 0.4 * normal(3, 0, n, 2, stream="codes"), which * 4


def depth(labels: LabelClassifier) -> int:
    return sum(name.startswith("weight.") for name in labels.state_dict())


def test_heldout_codes_are_predicted() -> None:
    codes, truth = clusters()
    labels = LabelClassifier().fit(codes[:500], truth[:500])
    assert labels.classes == [0, 4, 8]
    assert float((labels.predict(codes[500:]) == truth[500:]).double().mean()) > 0.97
    assert labels.accuracy > 0.97


def test_a_linear_boundary_needs_no_network() -> None:
    codes = normal(3, 0, 1000, 4, stream="codes")
    labels = LabelClassifier().fit(codes, (codes.sum(1) > 0).long())
    assert depth(labels) == 1


def test_a_curved_boundary_needs_the_network() -> None:
    codes = normal(3, 0, 3000, 2, stream="codes")
    truth = (codes[:, 0] * codes[:, 1] > 0).long()
    labels = LabelClassifier().fit(codes, truth)
    assert depth(labels) == 2
    assert float((labels.predict(codes) == truth).double().mean()) > 0.9
    assert labels.accuracy > 0.9


@pytest.mark.parametrize("truth", [[0, 0, 0, 0], [5, 5, 5, 9], [3, 1, 2, 0]])
def test_few_codes(truth: list[int]) -> None:
    labels = LabelClassifier().fit(torch.eye(4), torch.tensor(truth))
    predicted = labels.predict(torch.eye(4))
    assert predicted.dtype == torch.int64
    assert set(predicted.tolist()) <= set(truth)
    assert labels.classes == sorted(set(truth))


def test_labels_of_one_example_each_leave_nothing_to_hold_out() -> None:
    codes, truth = normal(3, 0, 30, 4, stream="codes"), torch.arange(30)
    labels = LabelClassifier().fit(codes, truth)
    assert labels.classes == truth.tolist()
    assert math.isnan(labels.accuracy)


def test_a_rare_label_is_learned_and_the_others_are_held_out() -> None:
    codes, truth = clusters(300)
    for seed in range(8):
        rare = truth.clone()
        rare[0] = 9
        labels = LabelClassifier().fit(codes, rare, seed=seed)
        assert labels.classes == [0, 4, 8, 9]
        # Of 60 held-out codes all but the few between two clusters.
        assert 0.9 < labels.accuracy <= 1


def test_codes_without_a_label_are_left_out() -> None:
    codes, truth = clusters()
    # They would be a class of their own.
    truth[::2] = -1
    labels = LabelClassifier().fit(codes, truth)
    assert labels.classes == [0, 4, 8]
    assert torch.equal(labels.training_labels, truth)
    assert labels.accuracy > 0.97


def test_codes_that_are_all_the_same() -> None:
    labels = LabelClassifier().fit(torch.ones(20, 3), torch.arange(20) % 2)
    assert labels.predict(torch.ones(5, 3)).unique().numel() == 1


def test_a_fit_is_a_function_of_its_seed() -> None:
    codes, truth = clusters()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two = (LabelClassifier().fit(codes, truth, seed=2).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_saved_classifier_is_loaded_unchanged(tmp_path: Path) -> None:
    codes, truth = clusters()
    labels = LabelClassifier().fit(codes, truth, names=tuple("abcdefghi"))
    assert save_labels(labels, tmp_path / "prior") == tmp_path / "prior" / "labels.safetensors"
    again = load_labels(tmp_path / "prior")
    assert again.names == tuple("abcdefghi")
    assert again.accuracy == labels.accuracy
    assert torch.equal(again.predict(codes), labels.predict(codes))


def test_a_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no labels"):
        load_labels(tmp_path)
    path = save_labels(LabelClassifier().fit(*clusters()), tmp_path)
    flip(path, 0.9)
    with pytest.raises(UserError, match="cannot be read as labels"):
        load_labels(tmp_path)


def test_samples_of_a_label_are_those_of_the_seed() -> None:
    codes, truth = clusters()
    prior, labels = MixturePrior(components=3).fit(codes), LabelClassifier().fit(codes, truth)
    drawn = prior.sample(4096, seed=9)
    expected = drawn[labels.predict(drawn) == 4]
    assert len(expected) > 1000
    found = sample_label(prior, labels, 4, 900, seed=9)
    assert torch.equal(found, expected[:900])
    for n, start in [(1, 0), (1, 500), (17, 883), (400, 500)]:
        part = sample_label(prior, labels, 4, n, seed=9, start=start)
        assert torch.equal(part, expected[start : start + n])
    assert float((found - CENTRES[1]).norm(dim=1).max()) < 3


def test_temperature_reaches_the_prior() -> None:
    codes, truth = clusters()
    prior, labels = MixturePrior(components=3).fit(codes), LabelClassifier().fit(codes, truth)
    wide, narrow = (sample_label(prior, labels, 0, 200, seed=1, temperature=t) for t in (1.0, 0.1))
    assert narrow.var(0).sum() < 0.1 * wide.var(0).sum()


def test_a_label_that_samples_never_have() -> None:
    codes = torch.cat([normal(3, 0, 600, 2, stream="codes"), torch.full((3, 2), 400.0)])
    labels = LabelClassifier().fit(codes, torch.tensor([0] * 600 + [1] * 3))
    prior = GaussianPrior().fit(codes[:600])
    with pytest.raises(UserError, match="Only 0 of 12,000 samples have label 1, and 2 were asked"):
        sample_label(prior, labels, 1, 2, seed=0)


def test_a_label_that_no_example_has() -> None:
    codes, truth = clusters()
    prior, labels = GaussianPrior().fit(codes), LabelClassifier().fit(codes, truth)
    with pytest.raises(UserError, match=r"label is 7, .* choose one of 0, 4, 8"):
        labels.number(7)
    with pytest.raises(UserError, match="n is 0"):
        sample_label(prior, labels, 4, 0, seed=0)


def test_invalid_arguments_of_fit_are_refused() -> None:
    codes, truth = clusters()
    with pytest.raises(UserError, match="labels have shape"):
        LabelClassifier().fit(codes, truth[:-1])
    with pytest.raises(UserError, match="-1"):
        LabelClassifier().fit(codes, torch.full_like(truth, -1))
    with pytest.raises(UserError, match="codes"):
        LabelClassifier().fit(codes * float("nan"), truth)
    with pytest.raises(UserError, match="not fitted"):
        LabelClassifier().predict(codes)
