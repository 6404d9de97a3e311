"""Example records of failing runs, one for each finding of the diagnosis; independent of Sphinx."""

from dataclasses import replace

from glo.config.presets import find_preset
from glo.config.settings import Settings
from glo.training.diagnosis import Baselines, Finding, diagnose
from glo.training.statistics import EpochRecord
from glo.training.validation import Check, ValidationRecord

__all__ = ["examples"]

_MNIST = Baselines(mean_image=0.2465, pca=0.0548)
_DIM = Baselines(mean_image=0.0013, pca=0.0011)
_N = 60_000
_HEALTHY = EpochRecord(
    epoch=1,
    step=469,
    rows=_N,
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

_MEMORIZES = ValidationRecord.first(Check(epoch=51, error=0.0201, mse=0.0058)).after(
    Check(epoch=750, error=0.0251, mse=0.0007)
)


def examples() -> dict[str, Finding]:
    """Return one finding of each name, from an example record."""
    tensorlayer = Settings(**find_preset("tensorlayer-baseline").settings)
    paper = Settings(**find_preset("paper").settings)
    plain = Settings(decoder_optimizer="sgd", decoder_lr=1e-3)
    still = replace(
        _HEALTHY,
        step=97,
        mse=0.5965,
        code_update=1.8e-5,
        code_norm=0.96,
        code_gradient=1.9e-4,
        decoder_step=0.0038,
    )
    white = replace(_HEALTHY, mse=0.4276, output_mean=-1.0, output_std=0.0)
    alike = replace(_HEALTHY, mse=0.2471, output_std=0.0012)
    poor = replace(_HEALTHY, mse=0.0631)
    findings = [
        *diagnose(poor, Baselines(mean_image=0.0, pca=0.0), Settings(), mse=0.1, n=_N, last=True),
        *diagnose(poor, _DIM, Settings(), mse=poor.mse, n=_N, last=True),
        *diagnose(white, _MNIST, paper, mse=white.mse, n=_N, last=False),
        *diagnose(alike, _MNIST, plain, mse=alike.mse, n=_N, last=False),
        *diagnose(still, _MNIST, tensorlayer, mse=still.mse, n=_N, last=False),
        *diagnose(poor, _MNIST, Settings(), mse=poor.mse, n=_N, last=True),
        *diagnose(_HEALTHY, _MNIST, Settings(), mse=_HEALTHY.mse, n=20, last=True),
        *diagnose(
            _HEALTHY, _MNIST, Settings(), mse=0.0007, n=475, last=True, validation=_MEMORIZES
        ),
    ]
    # The first of each name: a cause comes before its effects.
    return {finding.name: finding for finding in reversed(findings)}
