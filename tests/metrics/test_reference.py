"""Reference: distances with their floor, features and numbers of examples."""

import pytest
import torch
from torch import Tensor

from glo.errors import UserError
from glo.metrics import Distance, Reference, frechet_distance, kernel_distance
from glo.metrics import precision_recall_density_coverage as counts
from glo.utils.row_ranges import evenly_spaced


def _normal(n: int, seed: int) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference("four", heldout=_normal(300, 1), training=_normal(900, 2))


def test_frechet_has_the_floor_of_as_many_training_examples(reference: Reference) -> None:
    samples = _normal(200, 3) + 0.5
    found = reference.frechet(samples)
    substitutes = reference.training[evenly_spaced(900, 200)]
    assert found.value == frechet_distance(samples, reference.heldout)
    assert found.floor == frechet_distance(substitutes, reference.heldout)
    assert (found.measure, found.features, found.dim) == ("FD", "four", 4)
    assert (found.n, found.n_heldout, found.spread) == (200, 300, None)
    assert reference.frechet(samples[:150]).floor != found.floor


def test_kernel_has_its_floor_and_its_spread(reference: Reference) -> None:
    samples = _normal(300, 3) + 0.5
    found = reference.kernel(samples)
    substitutes = reference.training[evenly_spaced(900, 300)]
    assert (found.value, found.spread) == kernel_distance(samples, reference.heldout)
    assert found.floor == kernel_distance(substitutes, reference.heldout)[0]
    assert found.measure == "KD"


def test_prdc_and_its_floor(reference: Reference) -> None:
    samples = _normal(250, 3)
    assert reference.prdc(samples, k=3) == counts(reference.heldout, samples, k=3)
    substitutes = reference.training[evenly_spaced(900, 250)]
    assert reference.prdc_floor(250) == counts(reference.heldout, substitutes, k=5)


def test_more_samples_than_training_examples_have_no_floor(reference: Reference) -> None:
    with pytest.raises(UserError, match="901 samples are more than the 900"):
        reference.frechet(_normal(901, 3))


def test_few_examples_are_warned_about(reference: Reference) -> None:
    assert reference.warnings(4) == []
    assert "3 examples are fewer than the 4 features of four" in reference.warnings(3)[0]


def test_a_distance_prints_its_conditions() -> None:
    distance = Distance(
        measure="FD", value=1.0, floor=0.5, features="digits", dim=128, n=10_000, n_heldout=127
    )
    assert str(distance) == "FD 1 (floor 0.5; digits, 10,000 against 127)"


def test_sets_of_other_features_are_refused() -> None:
    with pytest.raises(UserError, match="cannot be compared"):
        Reference("four", heldout=_normal(30, 1), training=_normal(30, 1)[:, :3])
