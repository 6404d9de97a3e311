"""What a session tells whoever drives it: each record, how far it is, and sentences."""

from dataclasses import dataclass

from glo.training.diagnosis import Baselines
from glo.training.statistics import EpochRecord, StepRecord

__all__ = ["Begin", "Event", "Fitting", "Note", "Polishing", "RowEvent", "Searched"]


@dataclass(frozen=True, kw_only=True)
class Begin:
    """The run is about to train: how large it is and what it must beat."""

    n: int
    epochs: int
    step: int
    total_steps: int
    parameters: int
    baselines: Baselines


@dataclass(frozen=True, kw_only=True)
class Polishing:
    """So many of the N codes were polished."""

    rows: int
    n: int


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """The prior of this name is being fitted; `share` of it is done, from 0 to 1."""

    prior: str
    share: float


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The search for the codes of n added examples is as far as if so many were found."""

    rows: int
    n: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """A sentence for the person; `warning` when something is wrong."""

    sentence: str
    warning: bool = False


Event = Begin | StepRecord | EpochRecord | Polishing | Fitting | Note
RowEvent = Searched | Fitting | Note
