"""Warm start: a run that begins with the decoder of another one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from glo.data import Dataset
from glo.decoders import Decoder
from glo.encoders import corrected_codes
from glo.errors import UserError
from glo.inversion import InversionOptions, decode_initial_codes, invert
from glo.inversion.frozen_decoder import frozen_decoder
from glo.runs.run import Run, open_run
from glo.training.factory import decoder_config, store_standardizer, training_loss
from glo.utils.device import find_device

__all__ = ["WarmStart"]

# Training moves the codes on, so the first search is short.
_CORRECTIONS, _MAX_STEPS, _BATCH = 2, 10, 512


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class WarmStart:
    """Decoder of a finished run, for the start of a run on other data.

    Attributes:
        run: the finished run.
    """

    run: Run

    @classmethod
    def open(cls, new: Run, samples: Dataset) -> "WarmStart":
        """Open the run that the settings of a new one on `samples` name, and check that it fits.

        Raises:
            UserError: it is not a finished run, is the new run itself, or its examples, codes,
                decoder or columns are others.
        """
        assert new.settings.start is not None, "the caller checked it"
        folder = Path(new.settings.start)
        if folder.resolve() == new.folder.resolve():
            raise UserError(f"--from is {folder}, the new run itself; give another --out.")
        run = open_run(folder, decoder=new.decoder_class)
        run.check_finished(
            unfinished="its decoder cannot be used yet", single="a search needs two codes"
        )
        config = decoder_config(samples, new.settings, new.decoder_class)
        found = _kind(run, run.decoder.config, run.reading.columns)
        wanted = _kind(new, config, samples.reading.columns)
        for name, value in wanted.items():
            if found[name] != value:
                raise UserError(
                    f"--from {folder} has {name} {_words(found[name])}, but this run has "
                    f"{_words(value)}; a decoder can only be taken over where they agree."
                )
        return cls(run=run)

    @property
    def sentence(self) -> str:
        """A sentence on what is taken over."""
        run = self.run
        return (
            f"Begins with the decoder of {run.folder}, trained on {run.data.n:,} examples of "
            f"{run.data.name}; codes, optimizers and priors are new."
        )

    def decoder(self, samples: Dataset) -> Decoder:
        """Return a copy of the decoder for examples, with the standardization of their columns."""
        decoder = self.run.checkpoint.decoder(self.run.decoder_class)
        store_standardizer(decoder, samples)
        return decoder

    def codes(self, samples: Dataset) -> Tensor:
        """Find codes of n examples under the decoder, float32 (n, D), by encoder or search."""
        settings = self.run.settings
        decoder = self.decoder(samples).to(find_device(settings.device))
        loss, parts, encoder = training_loss(settings), [], self.run.encoder
        initial = None if encoder else decode_initial_codes(decoder, self.run.codes)
        options = InversionOptions(loss=loss, max_steps=_MAX_STEPS, constraint=settings.constraint)
        with frozen_decoder(decoder, settings.precision) as decode:
            for rows in torch.arange(len(samples)).split(_BATCH):
                x, mask = samples.batch(rows).to(decode.device), samples.observed(rows)
                mask = None if mask is None else mask.to(decode.device)
                if encoder is not None:
                    encoder.to(decode.device)
                    found = corrected_codes(encoder, decode, x, mask, loss, steps=_CORRECTIONS)
                else:
                    assert initial is not None, "decoded above"
                    found = invert(decoder, x, initial, mask=mask, options=options).codes
                parts.append(found.cpu())
        return torch.cat(parts)


def _kind(run: Run, decoder: Mapping[str, object], columns: Sequence[str]) -> dict[str, object]:
    """Return what two runs must share, by name."""
    return {
        "examples of shape": run.data.shape,
        "codes of size": run.settings.code_dim,
        "the decoder": decoder["name"],
        "the width": run.settings.width,
        "the constraint": run.settings.constraint,
        "the columns": tuple(columns),
    }


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
