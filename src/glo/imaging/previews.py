"""Previews: image grids of a run, written to its folder `samples/`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from glo.config.settings import Settings
from glo.data import Dataset
from glo.decoders import Decoder
from glo.decoders.decode import decode
from glo.imaging.grids import grid, pairs, save_picture
from glo.priors import Prior
from glo.training.callbacks import Callback
from glo.training.statistics import EpochRecord
from glo.utils.row_ranges import evenly_spaced

__all__ = ["Previews", "draw_codes", "draw_outcome", "draw_progress"]

_PAIRS = 64
_SAMPLES = 100
_WALKS = 8
_WALK_STEPS = 12


@final
class Previews(Callback):
    """Callback that draws reconstructions after epochs: the first ten, every tenth, and so on."""

    def on_epoch_end(self, training: Any, record: EpochRecord) -> None:
        """Write `samples/epoch-NNNN.png` for images."""
        # A run of a thousand short epochs would write a thousand pictures otherwise.
        every = 10 ** (len(str(record.epoch)) - 1)
        samples = training.local_samples
        if samples.is_images and record.epoch % every == 0:
            draw_progress(
                training.run.folder / "samples",
                f"epoch-{record.epoch:04d}",
                training.state.decoder,
                training.state.codes,
                samples,
                training.run.settings,
            )


def draw_progress(
    folder: Path, name: str, decoder: Decoder, codes: Tensor, samples: Dataset, settings: Settings
) -> Path:
    """Draw some training examples with their reconstructions below each; return the path.

    The mode of the decoder is restored.
    """
    training = decoder.training
    rows = _even_rows(len(samples), _PAIRS)
    copies = decode(decoder, codes[rows], settings.precision)
    decoder.train(training)
    return save_picture(pairs(samples.batch(rows), copies), folder / f"{name}.png")


def draw_outcome(
    folder: Path,
    decoder: Decoder,
    codes: Tensor,
    samples: Dataset,
    errors: Tensor,
    priors: Sequence[Prior],
    settings: Settings,
) -> list[Path]:
    """Draw reconstructions, the worst ones, samples and interpolations; return the paths."""
    paths = [draw_progress(folder, "reconstructions", decoder, codes, samples, settings)]
    worst = errors.topk(min(32, len(errors))).indices
    copies = decode(decoder, codes[worst], settings.precision)
    paths.append(save_picture(pairs(samples.batch(worst), copies), folder / "worst.png"))
    return paths + draw_codes(folder, decoder, codes, priors, settings)


def draw_codes(
    folder: Path, decoder: Decoder, codes: Tensor, priors: Sequence[Prior], settings: Settings
) -> list[Path]:
    """Draw interpolations between codes, and samples of the priors; return the paths."""
    paths = []
    ends = codes[_even_rows(len(codes), 2 * _WALKS)]
    if len(ends) >= 2:
        walks = torch.cat([_walk(a, b) for a, b in ends.unflatten(0, (-1, 2))[:_WALKS]])
        picture = grid(decode(decoder, walks, settings.precision), columns=_WALK_STEPS)
        paths.append(save_picture(picture, folder / "interpolations.png"))
    for prior in priors:
        drawn = decode(decoder, prior.sample(_SAMPLES, seed=settings.seed), settings.precision)
        paths.append(save_picture(grid(drawn, columns=10), folder / f"{prior.name}.png"))
    return paths


def _even_rows(n: int, count: int) -> Tensor:
    rows = evenly_spaced(n, min(n, count))
    return rows[: len(rows) // 2 * 2] if n > 1 else rows


def _walk(a: Tensor, b: Tensor) -> Tensor:
    return torch.lerp(a, b, torch.linspace(0, 1, _WALK_STEPS).unsqueeze(1))
