"""Autoencoders: the shared decoder under its mirror image as the encoder.

Losses and constants are those of Pythae 0.1.2 and its MNIST configurations, but written for pixels
in [-1, 1], so that one loop trains all kinds, with either optimizer: squared errors are summed over
the pixels of [0, 1]. At the end batch norm is settled on the training codes, as GLO's is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from benchmarks.compare.budget import Stopwatch
from benchmarks.compare.latent_model import LatentModel
from benchmarks.compare.networks import Mirror
from benchmarks.compare.problem import Problem
from torch import Tensor, nn

from glo.config.settings import Settings
from glo.training.evaluation import recompute_batchnorm_stats
from glo.training.optim import decoder_optimizer
from glo.utils.device import autocast, channels_last

__all__ = ["KINDS", "autoencoder", "learn_autoencoder"]

_RATE = 1e-3
# Of the encoder beside the package's optimizer of the decoder.
_ENCODER_RATE = 2e-3
_BATCH = 500
# Batches encoded, and the most codes that settle batch norm, to know what both take.
_PROBED, _SETTLING = 2, 64 * 128
# WAE: bandwidth of the kernel, and the scales of its sum.
_WIDTH, _SCALES = 2.0, (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A kind of autoencoder.

    Args:
        penalty: penalty of each code, added to the squared error, (B,) or a scalar.
        error: weight of the squared error.
        variational: whether the encoder also returns log variances, of which codes are drawn.
        learned_noise: whether the pixels' variance is the mean squared error of the batch.
        decay: weight decay of the decoder.
        ours: whether the decoder is trained by the package's optimizer instead of Adam.
    """

    penalty: Callable[[Tensor, Tensor], Tensor] | None = None
    error: float = 1.0
    variational: bool = False
    learned_noise: bool = False
    decay: float = 0.0
    ours: bool = False


def _divergence(outputs: Tensor, _: Tensor) -> Tensor:
    mean, log_variance = outputs.chunk(2, dim=1)
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)


def _discrepancy(_: Tensor, codes: Tensor) -> Tensor:
    """Return the squared maximum mean discrepancy of codes and as many draws of N(0, I)."""
    drawn, n = torch.randn_like(codes), len(codes)
    same = (_kernel(codes, codes) + _kernel(drawn, drawn)).fill_diagonal_(0).sum()
    return same / max(n * (n - 1), 1) - 2 * _kernel(codes, drawn).mean()


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    distances = (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp(min=0)
    base = 2 * a.shape[1] * _WIDTH**2
    kernels = [scale * base / (scale * base + distances) for scale in _SCALES]
    return torch.stack(kernels).sum(0)


def _length(_: Tensor, codes: Tensor) -> Tensor:
    return 0.01 * 0.5 * codes.square().sum(1)


KINDS: dict[str, _Kind] = {
    "ae": _Kind(),
    "ae-ours": _Kind(ours=True),
    "vae": _Kind(penalty=_divergence, error=0.5, variational=True),
    # With the variance 1 of "vae" the code of a digit is mostly noise. Rybkin, Daniilidis and
    # Levine, "Simple and effective VAE training with calibrated decoders", ICML 2021.
    "vae-sigma": _Kind(penalty=_divergence, variational=True, learned_noise=True),
    "wae": _Kind(penalty=_discrepancy),
    "rae-l2": _Kind(penalty=_length, decay=1e-4),
}


def autoencoder(problem: Problem, kind: str) -> nn.ModuleDict:
    """Return the untrained decoder and encoder."""
    decoder = problem.decoder()
    encoder = Mirror(decoder, decoder.code_dim * (2 if KINDS[kind].variational else 1))
    return channels_last(nn.ModuleDict({"decoder": decoder, "encoder": encoder}))


def learn_autoencoder(problem: Problem, kind: str, reserved: float) -> LatentModel:
    """Train an autoencoder until the sampler's seconds are left, and encode the training images.

    Args:
        problem: the task.
        kind: one of `KINDS`.
        reserved: CPU seconds that are left to the sampler.
    """
    how, networks = KINDS[kind], autoencoder(problem, kind)
    settings = Settings(batch_size=problem.batch, device="cpu")
    model = LatentModel(networks=networks, codes=torch.empty(0, problem.code_dim), training={})
    # Encoding and settling once in vain, to know what time to keep for them.
    watch = Stopwatch()
    probe = _encoded(problem, model, _PROBED)
    encoding = watch.cpu * len(problem.train) / len(probe)
    settling = torch.randn(min(len(problem.train), _SETTLING), problem.code_dim)
    recompute_batchnorm_stats(networks["decoder"], settling, settings)
    seconds = problem.seconds - reserved - watch.cpu - encoding

    watch, steps = Stopwatch(), 0
    # New weights: settling has changed the statistics of these.
    networks = autoencoder(problem, kind).train()
    optimizers = _optimizers(how, networks, settings)
    torch.manual_seed(problem.seed)
    for images in problem.batches():
        share = watch.share(seconds)
        if share >= 1.0:
            break
        for optimizer, rate in optimizers:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = rate * (1 - share)
        _loss(how, networks, images).backward()
        for optimizer, _ in optimizers:
            optimizer.step()
        steps += 1
    model = replace(model, networks=networks.eval())
    codes = _encoded(problem, model)
    recompute_batchnorm_stats(networks["decoder"], codes, settings)
    return replace(model, codes=codes, training=watch.read(), steps=steps)


def _optimizers(
    how: _Kind, networks: nn.ModuleDict, settings: Settings
) -> list[tuple[torch.optim.Optimizer, float]]:
    encoder, decoder = networks["encoder"].parameters(), networks["decoder"]
    if how.ours:
        own = (decoder_optimizer(settings, decoder), settings.decoder_lr)
        return [(torch.optim.Adam(encoder, fused=True), _ENCODER_RATE), own]
    decayed = {"params": list(decoder.parameters()), "weight_decay": how.decay}
    groups = [{"params": list(encoder)}, decayed]
    return [(torch.optim.Adam(groups, lr=_RATE, fused=True), _RATE)]


def _loss(how: _Kind, networks: nn.ModuleDict, images: Tensor) -> Tensor:
    with autocast(_CPU, "auto"):
        outputs = networks["encoder"](images)
        codes = outputs
        if how.variational:
            mean, log_variance = outputs.chunk(2, dim=1)
            codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        decoded = networks["decoder"](codes)
    # Pixels in [0, 1]: half as far apart.
    error = ((decoded - images) / 2).square().flatten(1)
    # With learned noise the negative log-likelihood under the likeliest variance.
    width = error.shape[1]
    fit = width / 2 * error.mean().log() if how.learned_noise else how.error * error.sum(1)
    loss = fit if how.penalty is None else fit + how.penalty(outputs, codes)
    return loss.mean()


def _encoded(problem: Problem, model: LatentModel, batches: int | None = None) -> Tensor:
    rows = torch.arange(len(problem.train)).split(_BATCH)[:batches]
    return torch.cat([model.encode(problem.train.batch(part)) for part in rows])
