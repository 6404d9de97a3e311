"""One cell of the study: a run and its changes to the original or to our settings."""

from dataclasses import dataclass, field
from typing import Any

from glo.config.presets import find_preset
from glo.config.settings import Settings

__all__ = ["CODE_RATE", "FULL", "Cell", "N"]

N = 2000
FULL = 50_000
# What 0.1 on a mean over a batch of 512 comes to for one code.
CODE_RATE = 0.1 / 512
_STEPS_PER_EPOCH = 100


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of the study.

    Args:
        name: of its files.
        group: which part of the study it belongs to.
        about: what differs, in words.
        base: "theirs" or "ours", what `changes` are made to.
        changes: settings.
        n: images.
        divide: what the generator's channels are divided by.
        dense: whether Adam of the codes is dense.
        seed: of weights, codes and order.
    """

    name: str
    group: str
    about: str
    base: str = "theirs"
    changes: dict[str, Any] = field(default_factory=dict)
    n: int = N
    divide: int = 4
    dense: bool = False
    seed: int = 0

    def settings(self, n: int, epochs: int | None = None) -> Settings:
        """Return the settings of the run.

        Args:
            n: images there are.
            epochs: passes instead of the cell's own; for trials.
        """
        values = _BASES[self.base] | {"batch_size": max(2, n // _STEPS_PER_EPOCH)} | self.changes
        if epochs is not None:
            values |= {"epochs": epochs}
        return Settings(**values, seed=self.seed, device="cpu")


def _theirs() -> dict[str, Any]:
    values = dict(find_preset("tensorlayer-baseline").settings)
    # A cell says by itself how many images it has.
    del values["limit"]
    return values


_REPLAY = _theirs()
_BASES: dict[str, dict[str, Any]] = {
    "replay": _REPLAY,
    "theirs": _REPLAY | {"code_grad_reduction": "row", "code_lr": CODE_RATE},
    # The package's defaults of November 2026 with their generator and their 25 epochs, without code
    # refinement, which would be a further difference.
    "ours": {
        "decoder": "tensorlayer",
        "epochs": 25,
        "refine_passes": 0,
        "schedule": "cosine",
        "decoder_lr": 4e-3,
    },
}
