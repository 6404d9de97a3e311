"""The budget of a run: bare steps leave the run as it is, and the stages are all of it."""

import time
from pathlib import Path

import pytest
import torch
from benchmarks.budget import STAGES, BareSteps, Budget
from tests import builders

import glo
from glo.config.settings import Settings
from glo.decoders import DCGAN
from glo.report import write_report

SETTINGS = Settings(
    code_dim=2, width=4, epochs=2, batch_size=8, refine_passes=1, prior="mixture", device="cpu"
)


def test_a_bare_step_changes_nothing() -> None:
    decoder = DCGAN(code_dim=2, shape=(1, 8, 8), width=4).eval()
    decoder(torch.randn(4, 2)).sum().backward()
    before = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    gradients = [parameter.grad for parameter in decoder.parameters()]
    random = torch.get_rng_state()
    bare = BareSteps(SETTINGS)
    assert bare(decoder, (1, 8, 8)) > 0
    for name, tensor in decoder.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    for parameter, gradient in zip(decoder.parameters(), gradients, strict=True):
        assert parameter.grad is gradient
    assert not decoder.training
    assert torch.equal(torch.get_rng_state(), random)
    assert len(bare.seconds) == 1


def test_every_stage_is_counted_and_training_is_the_same(tmp_path: Path) -> None:
    images, began = builders.images(24), time.perf_counter()
    watch = Budget(SETTINGS)
    measured = glo.train(
        images, settings=SETTINGS, run_dir=tmp_path / "a", callbacks=[watch], verbose=0
    )
    watch.lap("pictures")
    write_report(measured, data=images)
    watch.lap("report")
    assert all(watch.seconds[stage] > 0 for stage in STAGES)
    assert sum(watch.seconds.values()) <= time.perf_counter() - began
    for stage in STAGES:
        assert watch.bare_steps[stage] == pytest.approx(
            watch.seconds[stage] / watch.bare.seconds[-1]
        )
    plain = glo.train(images, settings=SETTINGS, run_dir=tmp_path / "b", verbose=0)
    assert torch.equal(plain.codes, measured.codes)
