"""Records: each number is what its sentence says, recomputed by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glo.training.statistics import EpochStatistics, StepValues, gradient_norm, step_values
from glo.utils.distributed import ProcessGroup
from glo.utils.row_ranges import evenly_spaced


def network() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(2, 3)


def add(
    statistics: EpochStatistics,
    output: Tensor,
    target: Tensor,
    observed: Tensor | None,
    loss: float,
    gradients: Tensor,
    changes: Tensor,
) -> StepValues[float]:
    """Add a step, as the loop does."""
    values = step_values(
        output,
        target,
        observed,
        torch.full((len(output),), loss),
        decoder_gradient=torch.tensor(3.0),
        code_gradients=gradients,
        code_changes=changes,
        faulty=torch.tensor([True, False]),
    )
    row = StepValues[float](*values.tolist())
    statistics.add(len(output), row)
    return row


def test_an_epoch_of_two_steps_by_hand() -> None:
    rng = np.random.default_rng(0)
    first = torch.from_numpy(rng.normal(size=(5, 2))).float()
    before, after = first + 1.0, first + torch.tensor([4.0, 5.0])
    decoder = network()
    statistics = EpochStatistics(first)
    statistics.start_epoch(before, decoder)
    outputs = torch.from_numpy(rng.normal(size=(5, 3))).float()
    targets = torch.from_numpy(rng.normal(size=(5, 3))).float()
    gradients = torch.from_numpy(rng.normal(size=(5, 2))).float()
    changes = torch.from_numpy(rng.normal(size=(5, 2))).float()
    for part, loss in ((slice(0, 3), 0.5), (slice(3, 5), 2.0)):
        values = add(
            statistics, outputs[part], targets[part], None, loss, gradients[part], changes[part]
        )
        assert (values.loss, values.decoder_gradient, values.faulty) == (loss, 3.0, 1.0)
    weights = torch.cat([p.detach().flatten() for p in decoder.parameters()])
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(1.25)
    record = statistics.record(4, 8, after, decoder)

    assert (record.epoch, record.step, record.rows) == (4, 8, 5)
    assert record.loss == pytest.approx((3 * 0.5 + 2 * 2.0) / 5)
    assert record.mse == pytest.approx(float((outputs - targets).square().mean()), rel=1e-5)
    rms = gradients.norm(dim=1).square().mean().sqrt()
    assert record.code_gradient == pytest.approx(float(rms), rel=1e-5)
    assert record.code_update == pytest.approx(float(changes.norm(dim=1).mean()), rel=1e-5)
    assert record.code_step == pytest.approx(5.0, rel=1e-5)
    assert record.code_travel == pytest.approx(41**0.5, rel=1e-5)
    assert statistics.travel(first) == 0.0
    assert record.code_norm == pytest.approx(float(after.norm(dim=1).mean()), rel=1e-5)
    assert record.decoder_step == pytest.approx(0.25, rel=1e-5)
    assert float(weights.norm()) > 0
    assert record.output_mean == pytest.approx(float(outputs[3:].mean()), rel=1e-4)
    deviation = outputs[3:].std(0, correction=0).square().mean().sqrt()
    assert record.output_std == pytest.approx(float(deviation), rel=1e-4)


def test_hidden_numbers_do_not_count() -> None:
    statistics, decoder = EpochStatistics(torch.zeros(2, 1)), network()
    statistics.start_epoch(torch.zeros(2, 1), decoder)
    output, target = torch.tensor([[1.0, 9.0], [3.0, 5.0]]), torch.zeros(2, 2)
    observed = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    add(statistics, output, target, observed, 1.0, torch.ones(2, 1), torch.ones(2, 1))
    assert statistics.record(1, 1, torch.zeros(2, 1), decoder).mse == pytest.approx((1 + 17) / 2)


def test_an_epoch_starts_from_nothing() -> None:
    statistics, decoder = EpochStatistics(torch.zeros(4, 2)), network()
    for value in (3.0, 1.0):
        statistics.start_epoch(torch.zeros(4, 2), decoder)
        one = torch.full((2, 2), value)
        add(statistics, one, torch.zeros(2, 2), None, value, one, one)
        record = statistics.record(1, 1, torch.zeros(4, 2), decoder)
        assert (record.rows, record.loss) == (2, value)


def test_a_record_is_due_until_it_is_made() -> None:
    statistics, decoder, one = EpochStatistics(torch.zeros(2, 2)), network(), torch.ones(2, 2)
    statistics.start_epoch(torch.zeros(2, 2), decoder)
    assert not statistics.due
    add(statistics, one, one, None, 1.0, one, one)
    assert statistics.due
    statistics.record(1, 1, torch.zeros(2, 2), decoder)
    assert not statistics.due


def test_restored_statistics_goes_on_counting() -> None:
    decoder, codes = network(), torch.ones(6, 2)
    rng = torch.Generator().manual_seed(0)
    steps = [[torch.randn(3, 2, generator=rng) for _ in range(4)] for _ in range(2)]
    whole = EpochStatistics(torch.zeros(6, 2))
    whole.start_epoch(codes, decoder)
    add(whole, *steps[0][:2], None, 0.5, *steps[0][2:])
    other = EpochStatistics(torch.full((6, 2), 7.0))
    other.restore([{name: tensor.clone() for name, tensor in whole.tensors().items()}])
    assert other.due
    for statistics in (whole, other):
        add(statistics, *steps[1][:2], None, 0.25, *steps[1][2:])
    later = torch.full((6, 2), 2.0)
    assert other.record(1, 2, later, decoder) == whole.record(1, 2, later, decoder)


def test_as_many_processes_take_up_their_own_sums() -> None:
    parts = []
    for rank in range(3):
        statistics = EpochStatistics(torch.zeros(3, 2), ProcessGroup(rank, 3))
        # Added up in another order these differ in the last bit.
        statistics.start_epoch(torch.zeros(3, 2), network())
        output, target = torch.zeros(3, 3), torch.ones(3, 3)
        add(statistics, output, target, None, 0.1 * 3**rank, *torch.zeros(2, 3, 2))
        parts.append(statistics.tensors())
    for rank, part in enumerate(parts):
        again = EpochStatistics(torch.zeros(3, 2), ProcessGroup(rank, 3))
        again.restore(parts)
        for name, value in again.tensors().items():
            assert name == "weights" or torch.equal(value, part[name]), name
    # Another number: counted once in all.
    one = EpochStatistics(torch.zeros(9, 2))
    one.restore(parts)
    assert float(one.tensors()["sums"][1]) == pytest.approx(0.1 * 3 * (1 + 3 + 9))


def test_codes_are_followed_in_copies() -> None:
    codes = torch.zeros(3, 2)
    statistics = EpochStatistics(codes)
    codes += 1.0
    assert statistics.travel(codes) == pytest.approx(2**0.5)


@pytest.mark.parametrize("n", [1, 2, 4095, 4096, 4097, 60_000])
def test_followed_rows_are_even_and_at_most_4096(n: int) -> None:
    rows = EpochStatistics(torch.zeros(n, 1)).tensors()["rows"]
    assert len(rows) == min(n, 4096)
    assert rows[0] == 0
    assert rows[-1] == n - 1
    gaps = rows.diff()
    assert n == 1 or gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("n", [2**24 + 4, 2**31 + 7, 10**12 + 1])
def test_rows_of_huge_sets_exist(n: int) -> None:
    rows = evenly_spaced(n, 4096)
    assert rows.max() == n - 1
    assert len(rows.unique()) == 4096


def test_length_of_the_gradient() -> None:
    decoder = network()
    assert gradient_norm(decoder) == 0.0
    decoder.weight.grad = torch.full((3, 2), 2.0)
    decoder.bias.grad = torch.full((3,), 1.0)
    assert gradient_norm(decoder) == pytest.approx(27**0.5)
