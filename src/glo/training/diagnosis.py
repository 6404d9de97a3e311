"""Diagnosis of a run: comparison with simple baselines, causes and remedies.

An error of 0.2 has no meaning alone: on MNIST at 32 x 32 it is the average digit. So every run is
compared with the mean image and with principal components of the same size, computed on the same
data. When it is not clearly better, the message names the cause and the setting to change; a value
that is set already is never advised.
"""

import math
from dataclasses import dataclass
from typing import Any

from glo.config.settings import Settings
from glo.training.schedule import lr_factor
from glo.training.statistics import EpochRecord
from glo.training.validation import ValidationRecord

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
# 12-bit values in 16 bits have at most 0.0013, MNIST has 0.25.
_MIN_VARIANCE = 0.002
_ADAM_LR = 0.002
_CHECK_DATA = "check the data: their range, and whether the examples have something in common"


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
    record: EpochRecord,
    baselines: Baselines,
    settings: Settings,
    *,
    mse: float,
    n: int,
    last: bool,
    validation: ValidationRecord | None = None,
) -> list[Finding]:
    """List the problems of a run after an epoch, causes before their effects; empty if healthy.

    Args:
        record: record of the epoch.
        baselines: errors of the baselines on the same data.
        settings: settings of the run.
        mse: error that is judged: the epoch's, or that of the final codes.
        n: N, number of examples.
        last: whether training is over, so that few steps no longer excuse a large error.
        validation: checks of the held-out error so far, or None.
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
    if findings and baselines.mean_image < _MIN_VARIANCE:
        findings = [_low_variance(baselines)]
    if validation is not None and validation.memorizes:
        findings.append(_memorizes(validation, settings))
    return findings + _sizes(settings, n)


def _low_variance(baselines: Baselines) -> Finding:
    text = (
        f"The data hardly vary: their variance is {baselines.mean_image:.2g}, where pixels go from "
        f"-1 to 1 and columns deviate by 1; check their range (such as 12-bit values stored in 16 "
        f"bits, or constant columns) before any setting."
    )
    return Finding(name="low_variance", sentence=text)


def _output(
    record: EpochRecord, baselines: Baselines, settings: Settings, mse: float, *, early: bool
) -> list[Finding]:
    same = record.output_std < _MIN_SPREAD * baselines.mean_image**0.5
    # At a rate of 0 the decoder hardly learns, which is a finding of its own.
    if not same or mse < 0.5 * baselines.mean_image or not settings.decoder_lr:
        return []
    rate = f"decoder_lr {settings.decoder_lr:g} with {settings.decoder_optimizer}"
    smaller = settings.decoder_optimizer != "adam" or settings.decoder_lr > _ADAM_LR
    remedy = f"use {_alternatives(smaller * _adam(settings), 'a decoder_lr 10 times smaller')}"
    # The outputs of vectors have no bounds.
    if abs(record.output_mean) > _SATURATION and settings.decoder != "mlp":
        text = (
            f"The decoder has saturated: its output is {record.output_mean:.2f} everywhere for any "
            f"code, an end of tanh where no gradient passes; {rate} is too large, so {remedy}."
        )
        return [Finding(name="saturated", sentence=text)]
    if early:
        return []
    reason = f"with {rate} this is {'' if settings.decoder_optimizer == 'sgd' else 'un'}usual"
    if record.step < _MIN_STEPS and settings.decoder_optimizer != "sgd":
        reason, remedy = f"{record.step:,} steps are few", "train longer (epochs)"
    text = (
        f"The decoder's output is the same for every code (outputs differ by "
        f"{record.output_std:.4f}), so the codes cannot learn; {reason}: {remedy}."
    )
    return [Finding(name="ignores_codes", sentence=text)]


def _decoder(record: EpochRecord, settings: Settings, n: int) -> list[Finding]:
    at_peak = _at_peak(record.decoder_step, record, settings, n)
    if at_peak > _MIN_DECODER_STEP * settings.steps_per_epoch(n) / 100:
        return []
    plain = settings.decoder_optimizer == "sgd"
    options = _alternatives(
        plain * _adam(settings), _larger(settings, "decoder_lr", 100 if plain else 10)
    )
    text = (
        f"The decoder hardly learns: in this epoch its weights changed by "
        f"{100 * record.decoder_step:.2g} % of their length, with {settings.decoder_optimizer} and "
        f"decoder_lr {settings.decoder_lr:g}; {f'use {options}' if options else _CHECK_DATA}."
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
            f", and the mean of code_grad_reduction divides each code's gradient by the batch size "
            f"({settings.batch_size}) though every code has a separate loss"
        )
    options = _alternatives(
        _changed(settings, code_optimizer="adam", code_grad_reduction="row"),
        # Codes without any gradient do not move at any rate.
        _larger(settings, "code_lr", 0.05 / at_peak if at_peak else math.inf),
    )
    init = f"{_changed(settings, init='pca')} instead of random codes"
    remedies = [options] * bool(options) + [init] * (settings.init != "pca")
    text = (
        f"The codes are frozen: in this epoch an update moved a code by {record.code_update:.1e}, "
        f"{100 * share:.2g} % of its length, because {cause}; "
        f"{'use ' + ', and '.join(remedies) if remedies else _CHECK_DATA}."
    )
    return [Finding(name="frozen_codes", sentence=text)]


def _adam(settings: Settings) -> str:
    return _changed(settings, decoder_optimizer="adam", decoder_lr=_ADAM_LR)


def _changed(settings: Settings, **values: Any) -> str:
    """Return the assignments of `values` that differ from the settings, as advice."""
    return " with ".join(
        f"{name} = {value}" for name, value in values.items() if getattr(settings, name) != value
    )


def _larger(settings: Settings, name: str, factor: float) -> str:
    """Advise a larger learning rate, or nothing where it would leave the range of the setting."""
    rate, field = getattr(settings, name), Settings.__dataclass_fields__[name]
    if rate == 0:
        return f"{name} = {field.default}"
    # Rounding may raise the factor by half.
    if 1.5 * factor * rate > field.metadata["max"]:
        return ""
    return f"a {name} {_times(factor)} times larger"


def _alternatives(*options: str) -> str:
    return ", or ".join(option for option in options if option)


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
        f"The error {mse:.4f} is {side} that of the mean example ({baselines.mean_image:.4f}): the "
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
    init = _changed(settings, init="pca")
    text += f", and start the codes there ({init})." if init else "."
    return Finding(name="worse_than_pca", sentence=text)


def _memorizes(validation: ValidationRecord, settings: Settings) -> Finding:
    last, best = validation.last, validation.best
    remedy = "train on more examples, or with a smaller code_dim or width"
    if settings.patience is None:
        remedy = f"end there (patience), {remedy}"
    text = (
        f"The run memorizes its training examples: from epoch {best.epoch} to {last.epoch} the "
        f"error of held-out examples rose from {best.error:.4f} to {last.error:.4f} while that of "
        f"training examples fell from {best.mse:.2g} to {last.mse:.2g}; {remedy}."
    )
    return Finding(name="memorizes", sentence=text)


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
