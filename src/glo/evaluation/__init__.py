"""How good a run is: reconstructions and samples, measured against examples it never saw."""

from glo.evaluation.description import Columns, Description, describe
from glo.evaluation.measure import Evaluation, Progress, evaluate
from glo.evaluation.plan import Plan, prepare

__all__ = [
    "Columns",
    "Description",
    "Evaluation",
    "Plan",
    "Progress",
    "describe",
    "evaluate",
    "prepare",
]
