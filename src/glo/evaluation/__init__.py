"""How good a run is: reconstructions and samples, measured against examples it never saw."""

from glo.evaluation.description import Description, Numbers, describe
from glo.evaluation.measure import Evaluation, Progress, evaluate
from glo.evaluation.plan import Plan, prepare
from glo.evaluation.table import figures, sentences

__all__ = [
    "Description",
    "Evaluation",
    "Numbers",
    "Plan",
    "Progress",
    "describe",
    "evaluate",
    "figures",
    "prepare",
    "sentences",
]
