"""The training loop with the host in every step: each number is read, each row handled by itself.

`train` does the same without reading anything back, and must give the same bits.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from glo.data import Dataset
from glo.latents.constraints import project
from glo.losses import MSELoss, parse_loss
from glo.training.schedule import lr_factor
from glo.training.state import TrainState
from glo.utils.random import normal, permutation


class ReferenceLoop:
    """A run in one process, float32, on the CPU; its state is changed as `train` changes it."""

    def __init__(self, training: TrainState, samples: Dataset) -> None:
        self.training, self.samples, self.settings = training, samples, training.settings
        self.loss_of = parse_loss(self.settings.loss)
        self.averaged: AveragedModel | None = None
        if self.settings.ema_decay:
            rule = get_ema_multi_avg_fn(self.settings.ema_decay)
            self.averaged = AveragedModel(training.decoder, multi_avg_fn=rule, use_buffers=True)
        self.step = self.skipped = 0
        self.records: list[dict[str, Any]] = []

    def run(self) -> list[dict[str, Any]]:
        """Train to the end, and return all records without durations."""
        for epoch in range(self.settings.epochs):
            self._epoch(epoch)
        return self.records

    @property
    def codes(self) -> Tensor:
        return self.training.latents.weight.detach()

    def _epoch(self, epoch: int) -> None:
        training, decoder = self.training, self.training.decoder
        if epoch == 0:
            self.first = self.codes.clone()
        codes, weights = self.codes.clone(), _flat(decoder)
        self.sums, self.output = [0.0] * 5, (0.0, 0.0)
        order = permutation(len(self.samples), self.settings.seed, epoch)
        for rows in order.split(self.settings.batch_size):
            self._step(epoch, rows)
        if self.settings.project_every == "epoch":
            training.latents.project_()
        rows_seen, loss, error, squares, updates = self.sums
        n = len(codes)
        self.records.append(
            {
                "epoch": epoch + 1,
                "step": self.step,
                "rows": int(rows_seen),
                "loss": loss / rows_seen,
                "mse": error / rows_seen,
                "code_gradient": (squares / rows_seen) ** 0.5,
                "code_update": updates / rows_seen,
                "code_step": _total_length(self.codes - codes) / n,
                "code_travel": _total_length(self.codes - self.first) / n,
                "code_norm": _total_length(self.codes) / n,
                "decoder_gradient": self.norm,
                "decoder_step": float((_flat(decoder) - weights).norm()) / float(weights.norm()),
                "output_mean": self.output[0],
                "output_std": self.output[1],
            }
        )

    def _step(self, epoch: int, rows: Tensor) -> None:
        training, settings, decoder = self.training, self.settings, self.training.decoder
        decoder.train()
        buffers = {name: value.clone() for name, value in decoder.named_buffers()}
        target, observed = self.samples.batch(rows), self.samples.observed(rows)
        mean = settings.code_grad_reduction == "mean"
        codes = training.latents(rows, grad_scale=1 if mean else len(rows))
        output = decoder(codes)
        losses = self.loss_of(output, target, observed)
        training.optimizer.zero_grad(set_to_none=True)
        training.code_optimizer.zero_grad(set_to_none=True)
        (losses.sum() / len(rows)).backward()
        assert training.latents.weight.grad is not None
        gradient = training.latents.weight.grad._values()
        factor = lr_factor(self.step, training.total_steps, settings)
        gradients = [p.grad for p in decoder.parameters() if p.grad is not None]
        self.norm = float(torch.stack([each.norm() for each in gradients]).norm())
        finite = math.isfinite(self.norm)
        faulty = self._faulty(codes, losses, gradient, finite)
        code_gradient = 0.0
        if finite:
            for group in training.optimizer.param_groups:
                group["lr"] = settings.decoder_lr * factor
            for group in training.code_optimizer.param_groups:
                group["lr"] = settings.code_lr * factor
            training.optimizer.step()
            if self.averaged is not None:
                self.averaged.update_parameters(decoder)
            for place in faulty:
                gradient[place] = 0.0
            training.code_optimizer.step()
            for place in faulty:
                self.codes[rows[place]] = codes[place].detach()
            change = self.codes[rows] - codes.detach()
            if settings.project_every == "step":
                training.latents.project_(rows)
            code_gradient = self._add(output.detach(), target, observed, losses, gradient, change)
        else:
            self.skipped += 1
            for name, value in decoder.named_buffers():
                value.copy_(buffers[name])
        for place in faulty:
            self._restart(int(rows[place]))
        self.step += 1
        self.records.append(
            {
                "step": self.step,
                "epoch": epoch + 1,
                "rows": len(rows),
                "loss": float(losses.detach().mean()),
                "decoder_lr": settings.decoder_lr * factor,
                "code_lr": settings.code_lr * factor,
                "code_gradient": code_gradient,
                "decoder_gradient": self.norm,
                "skipped": self.skipped,
            }
        )

    def _faulty(self, codes: Tensor, losses: Tensor, gradient: Tensor, finite: bool) -> list[int]:
        lost = [place for place, code in enumerate(codes) if not _is_finite(code)]
        if lost:
            return lost
        measured = gradient if finite else losses
        return [place for place, value in enumerate(measured) if not _is_finite(value)]

    def _add(
        self,
        output: Tensor,
        target: Tensor,
        observed: Tensor | None,
        losses: Tensor,
        gradient: Tensor,
        change: Tensor,
    ) -> float:
        n, squares = len(output), float(gradient.square().sum())
        step = [
            n,
            n * float(losses.detach().mean()),
            float(MSELoss()(output, target, observed).sum()),
            squares,
            float(change.norm(dim=1).sum()),
        ]
        self.sums = [total + value for total, value in zip(self.sums, step, strict=True)]
        spread = output.std(0, correction=0).square().mean().sqrt()
        self.output = (float(output.mean()), float(spread))
        return (squares / n) ** 0.5

    def _restart(self, row: int) -> None:
        dim = self.settings.code_dim
        drawn = normal(self.settings.seed, row, 1, dim, stream="codes") / dim**0.5
        self.codes[row] = project(drawn, self.settings.constraint)[0]
        for value in self.training.code_optimizer.row_state().values():
            value[row] = 0


def _is_finite(values: Tensor) -> bool:
    return all(math.isfinite(value) for value in values.detach().flatten().tolist())


def _total_length(vectors: Tensor) -> float:
    return float(vectors.norm(dim=1).double().sum())


def _flat(decoder: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in decoder.parameters()]).clone()
