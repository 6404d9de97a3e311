"""Diagnosis of a run: comparison with simple baselines, causes and remedies.

An error of 0.2 has no meaning alone: on MNIST at 32 x 32 it is the average digit. So every run is
compared with the mean image and with principal components of the same size, computed on the same
data. When it is not clearly better, the message names the cause and the setting to change.
"""

from dataclasses import dataclass

from glo.config.settings import Settings
from glo.training.schedule import lr_factor
from glo.training.statistics import EpochRecord

# Share of explained variance: a healthy run exceeds a half in its first epoch; below a tenth the
# decoder ignores its codes.
_MIN_EXPLAINED = 0.1
_MIN_STEPS = 200
# A run that ends near the mean after fewer steps, without another cause, was too short.
_FEW_STEPS = 1000
# Share of a code's length per epoch: at smaller updates codes need hundreds of epochs.
_MIN_CODE_UPDATE = 0.005
# Share of the weights' length per hundred steps at the peak learning rate: at smaller changes the
# weights stay near their initial values.
_MIN_DECODER_STEP = 0.01
# Spread of the outputs as a share of that of the data: below it outputs count as equal.
_MIN_SPREAD = 0.02
_SATURATION = 0.9


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """Mean squared errors of two reconstructions without training, on the same examples.

    Attributes:
        mean_image: error of the mean example.
        pca: error of projections on as many principal components as a code has numbers.
    """

    mean_image: float
    pca: float


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One problem of a run: a short name, and a sentence with its cause and remedy."""

    name: str
    sentence: str


def explained_variance(mse: float, baselines: Baselines) -> float:
    """Return the share of the data's variance that the reconstructions explain, 1 - mse / mean."""
    return 1.0 - mse / baselines.mean_image if baselines.mean_image > 0 else float(mse == 0.0)


def diagnose(
    record: EpochRecord, baselines: Baselines, settings: Settings, *, mse: float, n: int, last: bool
) -> list[Finding]:
    """List the problems of a run after an epoch, causes before their effects; empty if healthy.

    Args:
        record: record of the epoch.
        baselines: errors of the baselines on the same data.
        settings: settings of the run.
        mse: error that is judged: the epoch's, or that of the final codes.
        n: N, number of examples.
        last: whether training is over, so that few steps no longer excuse a large error.
    """
    if baselines.mean_image < 1e-8:
        text = "All examples are the same, so there is nothing to learn; check the data."
        if n == 1:
            text = "There is one example, so there is no difference to learn; train on more."
        return [Finding(name="constant_data", sentence=text)]
    explained = explained_variance(mse, baselines)
    # In the first steps of a run of many short epochs a decoder still ignores its codes.
    early = not last and record.step < _MIN_STEPS
    findings = _output(record, baselines, settings, mse, early=early)
    if not findings and explained < _MIN_EXPLAINED:
        findings += _decoder(record, settings, n)
    # Under a saturated decoder codes do not move at any learning rate.
    if not any(finding.name == "saturated" for finding in findings):
        findings += _codes(record, baselines, settings, mse, n)
    if explained < _MIN_EXPLAINED and (findings or not early):
        few = record.step if not findings and record.step < _FEW_STEPS else None
        findings.append(_near_mean(baselines, mse, explained, few=few))
    elif last and mse > baselines.pca:
        findings.append(_worse_than_pca(baselines, settings, mse))
    return findings + _sizes(settings, n)


def _output(
    record: EpochRecord, baselines: Baselines, settings: Settings, mse: float, *, early: bool
) -> list[Finding]:
    same = record.output_std < _MIN_SPREAD * baselines.mean_image**0.5
    if not same or mse < 0.5 * baselines.mean_image:
        return []
    rate = f"decoder_lr {settings.decoder_lr:g} with {settings.decoder_optimizer}"
    adam = "use decoder_optimizer = adam with decoder_lr = 0.002"
    remedy = f"{adam}, or a decoder_lr ten times smaller"
    if abs(record.output_mean) > _SATURATION:
        text = (
            f"The decoder has saturated: its output is {record.output_mean:.2f} everywhere for any "
            f"code, an end of tanh where no gradient passes; {rate} is too large, so {remedy}."
        )
        return [Finding(name="saturated", sentence=text)]
    if early:
        return []
    text = (
        f"The decoder's output is the same for every code (outputs differ by "
        f"{record.output_std:.4f}), so the codes cannot learn; with {rate} this is "
        f"{'usual' if settings.decoder_optimizer == 'sgd' else 'unusual'}: {remedy}."
    )
    return [Finding(name="ignores_codes", sentence=text)]


def _decoder(record: EpochRecord, settings: Settings, n: int) -> list[Finding]:
    at_peak = _at_peak(record.decoder_step, record, settings, n)
    if at_peak > _MIN_DECODER_STEP * settings.steps_per_epoch(n) / 100:
        return []
    plain = settings.decoder_optimizer == "sgd"
    remedy = "use decoder_optimizer = adam with decoder_lr = 0.002, or " if plain else "use "
    text = (
        f"The decoder hardly learns: in this epoch its weights changed by "
        f"{100 * record.decoder_step:.2g} % of their length, with {settings.decoder_optimizer} and "
        f"decoder_lr {settings.decoder_lr:g}; {remedy}a decoder_lr "
        f"{'a hundred' if plain else 'ten'} times larger."
    )
    return [Finding(name="slow_decoder", sentence=text)]


def _codes(
    record: EpochRecord, baselines: Baselines, settings: Settings, mse: float, n: int
) -> list[Finding]:
    share = record.code_update / max(record.code_norm, 1e-12)
    # At the peak learning rate: at the end of a schedule codes stop moving by design.
    at_peak = _at_peak(share, record, settings, n)
    if at_peak > _MIN_CODE_UPDATE or mse < baselines.pca:
        return []
    cause = f"their gradient is {record.code_gradient:.1e} and code_lr is {settings.code_lr:g}"
    if settings.code_grad_reduction == "mean":
        cause += (
            f", and code_grad_reduction = mean divides each code's gradient by the batch size "
            f"({settings.batch_size}) though every code has a separate loss"
        )
    text = (
        f"The codes are frozen: in this epoch an update moved a code by {record.code_update:.1e}, "
        f"{100 * share:.2g} % of its length, because {cause}; use code_optimizer = adam with "
        f"code_grad_reduction = row, or raise code_lr about {_times(0.05 / max(at_peak, 1e-12))} "
        f"times, and init = pca instead of random codes."
    )
    return [Finding(name="frozen_codes", sentence=text)]


def _at_peak(movement: float, record: EpochRecord, settings: Settings, n: int) -> float:
    """Scale the movement of a record's epoch to the peak of the learning rates."""
    steps = settings.steps_per_epoch(n)
    middle = max(record.step - 1 - (steps - 1) // 2, 0)
    return movement / max(lr_factor(middle, steps * settings.epochs_for(n), settings), 1e-12)


def _near_mean(baselines: Baselines, mse: float, explained: float, *, few: int | None) -> Finding:
    """Describe an error near or above that of the mean; `few`: number of steps if too few."""
    side = "above" if mse > baselines.mean_image else "near"
    share = f"{100 * explained:.0f} %" if explained >= 0.005 else "nothing"
    shown = f"{'not even ' * (explained < -_MIN_EXPLAINED)}the average example"
    text = (
        f"The error {mse:.4f} is {side} that of the mean image ({baselines.mean_image:.4f}): the "
        f"run explains {share} of the variance, so its output is {shown}; PCA of the same size "
        f"reaches {baselines.pca:.4f}"
    )
    text += "." if few is None else f"; {few:,} steps are few, so train longer (epochs)."
    return Finding(name="mean_image", sentence=text)


def _worse_than_pca(baselines: Baselines, settings: Settings, mse: float) -> Finding:
    text = (
        f"The error {mse:.4f} is above that of PCA with {settings.code_dim} components "
        f"({baselines.pca:.4f}); train longer (epochs)"
    )
    text += "." if settings.init == "pca" else ", and start the codes there (init = pca)."
    return Finding(name="worse_than_pca", sentence=text)


def _sizes(settings: Settings, n: int) -> list[Finding]:
    if settings.code_dim < n:
        return []
    text = (
        f"A code has {settings.code_dim} numbers and there are {n} examples: any example can be "
        f"memorized exactly, so evaluate on unseen examples or lower code_dim below {n}."
    )
    return [Finding(name="more_dimensions_than_examples", sentence=text)]


def _times(factor: float) -> str:
    digits = len(str(int(factor)))
    return f"{round(factor, 1 - digits):.0f}" if factor >= 10 else f"{factor:.1g}"
