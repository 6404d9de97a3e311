"""Fit of an encoder to a trained decoder and its codes."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from glo.config.settings import Settings
from glo.data import Dataset
from glo.decoders import Decoder
from glo.decoders.decode import decode
from glo.encoders.encoder import Encoder
from glo.encoders.random_masks import random_masks
from glo.inversion.frozen_decoder import frozen_decoder
from glo.inversion.refine import mean_inverse_hessian
from glo.losses import Loss, MSELoss
from glo.training.optim import decoder_optimizer
from glo.training.schedule import linear
from glo.utils.device import autocast, channels_last
from glo.utils.random import permutation

__all__ = ["fit_encoder", "fit_steps"]

_BATCH, _LR, _WARMUP = 256, 4e-3, 50
# Operations as a share of those of training, whose seconds they must stay below 15 % of.
_SHARE = 0.12
_MIN_STEPS, _PROGRESS_STEPS = 200, 10
_WIDTH, _WIDTH_OF_VECTORS = 32, 16
# Pairs kept from the fit and measured at its end: a twentieth, at most so many.
_MAX_HELDOUT = 1000
# Samples of the prior in a batch, one in so many; numbers of all decoded samples together.
_SAMPLED_PART, _MAX_SAMPLED_NUMBERS = 4, 2**25


def fit_steps(decoder: nn.Module, encoder: Encoder, settings: Settings, n: int) -> int:
    """Return the number of updates that take an eighth of the operations of training, or 200.

    Args:
        decoder: decoder of the run.
        encoder: encoder; an update takes 256 examples.
        settings: settings of the run.
        n: N, examples of the run.
    """
    trained = settings.epochs_for(n) * n * _operations(decoder, encoder.code_dim)
    update = _BATCH * max(1, _operations(encoder, *encoder.shape))
    return max(_MIN_STEPS, int(_SHARE * trained / update))


def fit_encoder(
    decoder: Decoder,
    codes: Tensor,
    samples: Dataset | None,
    settings: Settings,
    loss: Loss,
    *,
    sampled: Tensor | None = None,
    steps: int | None = None,
    callback: Callable[[float], None] | None = None,
) -> tuple[Encoder, float]:
    """Fit an encoder E to pairs of examples x and codes z.

    Minimizes the squared error of the code in the metric of the decoder,

        (E(x, m) - z)^T H (E(x, m) - z),

    with H the mean Hessian of the loss by the code. Half of the examples of a batch are complete,
    the others masked by `random_masks`. It is deterministic by the seed of the settings.

    Args:
        decoder: trained decoder, unchanged afterwards.
        codes: (N, D), N above 1.
        samples: N examples; None: decoded codes take their place.
        settings: settings of the run.
        loss: loss of training.
        sampled: (M, D), samples of a prior, which with their decoded examples are a quarter of
            each batch; None: none.
        steps: updates; None: `fit_steps`.
        callback: function of the share of the updates done, below 1.

    Returns:
        the encoder in evaluation mode, and the mean squared error of decoded codes of examples
        that were kept from the fit.

    References:
        Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014, for amortized inference;
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    """
    device = next(decoder.parameters()).device
    encoder = _untrained(decoder, codes, settings).to(device)
    steps = steps or fit_steps(decoder, encoder, settings, len(codes))
    with frozen_decoder(decoder, settings.precision) as decode_batch:
        inverse, _ = mean_inverse_hessian(decode_batch, codes, samples, loss)
    encoder.inverse_hessian.copy_(inverse)
    # |L^T e|^2 = e^T H e, of the size of a squared whitened error.
    hessian = torch.linalg.inv(inverse.double())
    factor = torch.linalg.cholesky(hessian / hessian.diagonal().mean()).float()
    scale = 1 / max(float((factor.T @ encoder.factor).square().mean()), 1e-12)
    order = permutation(len(codes), settings.seed, 0)
    kept, rows = order.split([n_kept := min(_MAX_HELDOUT, len(codes) // 20), len(codes) - n_kept])
    batches = _batches(decoder, codes, samples, rows, settings, sampled)
    optimizer = decoder_optimizer(Settings(), encoder.train())
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _LR * linear(step, steps) * min(1.0, (step + 1) / _WARMUP)
        examples, masks, target = (part.to(device) for part in next(batches))
        with torch.enable_grad(), autocast(device, settings.precision):
            found = encoder(examples, masks)
        with torch.enable_grad():
            error = scale * ((found - target) @ factor).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        if callback is not None and step % _PROGRESS_STEPS == 0:
            callback(step / steps)
    encoder.eval().requires_grad_(False)
    return encoder, _error(encoder, decoder, codes, samples, kept if n_kept else rows, settings)


def _untrained(decoder: Decoder, codes: Tensor, settings: Settings) -> Encoder:
    images = len(decoder.shape) == 3
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        encoder = Encoder(
            code_dim=codes.shape[1],
            shape=decoder.shape,
            width=_WIDTH if images else _WIDTH_OF_VECTORS,
            constraint=settings.constraint,
        )
    return channels_last(encoder.set_whitening(codes))


def _batches(
    decoder: Decoder,
    codes: Tensor,
    samples: Dataset | None,
    rows: Tensor,
    settings: Settings,
    sampled: Tensor | None,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield examples, masks and codes of batches without end."""
    generator = torch.Generator().manual_seed(settings.seed)
    n_sampled, drawn = 0, torch.empty(0)
    if sampled is not None:
        sampled = sampled[: max(1, _MAX_SAMPLED_NUMBERS // math.prod(decoder.shape))].float()
        drawn = decode(decoder, sampled, settings.precision).half()
        n_sampled = min(_BATCH, len(rows)) // _SAMPLED_PART
    while True:
        for part in rows[torch.randperm(len(rows), generator=generator)].split(_BATCH - n_sampled):
            if len(part) < 2:
                continue
            examples, observed = _pairs(decoder, codes, samples, part, settings)
            masks = random_masks(len(part) + n_sampled, decoder.shape, generator)
            # Shuffled, so that samples are complete as often as examples.
            masks = masks[torch.randperm(len(masks), generator=generator)]
            target = codes[part]
            if observed is not None:
                masks[: len(part)] *= observed
            if sampled is not None:
                chosen = torch.randint(len(sampled), (n_sampled,), generator=generator)
                examples = torch.cat([examples, drawn[chosen].float()])
                target = torch.cat([target, sampled[chosen]])
            yield examples, masks, target


def _pairs(
    decoder: Decoder, codes: Tensor, samples: Dataset | None, rows: Tensor, settings: Settings
) -> tuple[Tensor, Tensor | None]:
    if samples is None:
        return decode(decoder, codes[rows], settings.precision), None
    return samples.batch(rows), samples.observed(rows)


def _error(
    encoder: Encoder,
    decoder: Decoder,
    codes: Tensor,
    samples: Dataset | None,
    rows: Tensor,
    settings: Settings,
) -> float:
    """Return the mean squared error of rows, encoded and decoded."""
    errors, device = [], encoder.mean.device
    for part in rows.split(_BATCH):
        examples, observed = _pairs(decoder, codes, samples, part, settings)
        mask = None if observed is None else observed.to(device)
        with torch.no_grad():
            found = encoder(examples.to(device), mask).cpu()
        errors.append(MSELoss()(decode(decoder, found, settings.precision), examples, observed))
    return float(torch.cat(errors).double().mean())


@torch.enable_grad()
def _operations(network: nn.Module, *shape: int) -> int:
    """Return the floating-point operations of a forward and a backward pass of one example."""
    examples = torch.zeros(2, *shape, device=next(network.parameters()).device)
    training = network.training
    with FlopCounterMode(display=False) as counter:
        network.eval()(examples).sum().backward()
    network.train(training).zero_grad(set_to_none=True)
    return int(counter.get_total_flops() // 2)
