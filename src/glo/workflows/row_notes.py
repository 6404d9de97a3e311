"""What is told of rows that came and went, in sentences."""

from collections.abc import Iterator

from torch import Tensor

from glo.priors import GaussianPrior
from glo.runs.run import Run
from glo.training.callbacks import Message

__all__ = ["SHOWN", "STALE", "added_notes", "removed_notes"]

# What was made with other rows than the run has now.
STALE = ("evaluation.json", "report.html")
# Folders of pictures that show rows and samples; walks are called by numbers of rows.
SHOWN = ("samples", "walks")
_KNOWN = {
    "checkpoint", "config.toml", "errors.safetensors", "estimator.json", "lock", "metrics.jsonl",
    "prior", "summary.json", *SHOWN, *STALE,
}  # fmt: skip
# Added examples whose error is so many times that of the others are told.
_UNLIKE = 4.0


def added_notes(run: Run, errors: Tensor, *, refit: bool) -> Iterator[Message]:
    """Tell where the added rows are and how well the decoder knows them.

    Args:
        run: as it was before.
        errors: (n,), of the added examples under the codes that were found.
        refit: whether priors were fitted anew.
    """
    n, mine = run.data.n, float(errors.double().mean())
    theirs = float((run.summary or {})["mse"])
    text = (
        f"Added {len(errors):,} rows, {n:,} to {n + len(errors) - 1:,}: mse {mine:.4f} under the "
        f"codes that were found, where the rows before have {theirs:.4f}."
    )
    unlike = mine > _UNLIKE * theirs
    if unlike:
        text += " The decoder does not know such examples; train anew with them."
    yield Message(text=text, warning=unlike)
    if refit:
        yield from _notes_on_priors(run, {GaussianPrior.name, run.prior_name})


def removed_notes(run: Run, left: int, *, refit: bool) -> Iterator[Message]:
    """Tell what was deleted, what was not, and what the decoder still holds.

    Args:
        run: as it was before.
        left: how many rows are left.
        refit: whether priors were fitted anew.
    """
    folders = [run.folder / name for name in SHOWN]
    count = sum(path.is_file() for folder in folders for path in folder.rglob("*"))
    text = f"Forgot {run.data.n - left:,} rows; {left:,} are left and are numbered anew."
    if count:
        where = " and ".join(str(folder) for folder in folders if folder.is_dir())
        text += f" {count} files in {where} were deleted: pictures of rows, samples and walks."
    yield Message(text=text)
    yield from _notes_on_priors(run, {GaussianPrior.name, run.prior_name} if refit else set())
    yield from _notes_on_strangers(run)
    yield Message(
        text="The weights of the decoder are as they were: they were trained with the "
        "forgotten examples and may still hold traces of them, which only training anew without "
        "these examples removes."
    )


def _notes_on_priors(run: Run, again: set[str]) -> Iterator[Message]:
    gone = sorted(set(run.fitted_priors) - again)
    if gone:
        yield Message(
            text=f"Priors of the rows before were deleted ({', '.join(gone)}); glo sample "
            f"--prior NAME fits one anew."
        )


def _notes_on_strangers(run: Run) -> Iterator[Message]:
    names = sorted(path.name for path in run.folder.iterdir())
    strange = [name for name in names if name not in _KNOWN and not name.startswith(".")]
    if strange:
        yield Message(
            text=f"Not made by training, and left as they are: {', '.join(strange)}; see "
            f"whether they show forgotten examples.",
            warning=True,
        )
