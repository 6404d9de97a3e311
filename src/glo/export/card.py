"""The model card of a run: what the Hub shows of it, and what its machines read."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, final

from glo.runs.run import Run
from glo.utils.json_toml import read_json

__all__ = ["Figure", "figures_of", "read_evaluation", "write_card"]


@final
@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number.

    Attributes:
        name: for people.
        kind: for machines, such as "psnr".
        value: the number.
        digits: after the point, where people read it.
    """

    name: str
    kind: str
    value: float
    digits: int = 2

    @property
    def text(self) -> str:
        """The value as people read it."""
        return f"{self.value:.{self.digits}f}"


def figures_of(run: Run) -> list[Figure]:
    """Return what was measured of a run: its summary and, where there is one, its evaluation.

    Example:
        >>> figures_of(open_run("runs/mnist"))[0].kind  # doctest: +SKIP
        'mse'
    """
    summary = run.summary
    assert summary is not None, "a finished run has a summary"
    found = [Figure(name="MSE, training examples", kind="mse", value=summary["mse"], digits=5)]
    if summary["psnr"] is not None:
        found.append(Figure(name="PSNR of the mean error, dB", kind="psnr", value=summary["psnr"]))
    share = 100 * summary["explained_variance"]
    found.append(Figure(name="Variance explained, %", kind="explained_variance", value=share))
    return found + list(_evaluated(read_evaluation(run), run.prior_name))


def write_card(
    run: Run, *, name: str, license: str | None = None, picture: str | None = None
) -> str:
    """Return the model card, README.md: YAML between two lines of dashes, then Markdown.

    Args:
        run: finished.
        name: of the repository or folder that it will be loaded from.
        license: identifier of the weights' licence, such as "mit"; None: none is named.
        picture: file name of a grid of samples beside the card, or None.
    """
    from jinja2 import Environment, StrictUndefined

    assert run.summary is not None, "a finished run has a summary"
    source = files("glo.export").joinpath("card.md.jinja").read_text("utf-8")
    # A card is Markdown: nothing is escaped, and a name that is missing is our mistake.
    room = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    figures = figures_of(run)
    return room.from_string(source).render(
        front=_front(run, figures, name=name, license=license),
        title=f"GLO of {run.data.name}",
        name=name,
        run=run,
        prior=run.prior_name,
        picture=picture,
        outcome=_outcome(run),
        facts=_facts(run),
        figures=[(figure.name, figure.text) for figure in figures],
        about_figures=_about_figures(run),
        diagnosis=run.summary["diagnosis"],
    )


def _front(run: Run, figures: list[Figure], *, name: str, license: str | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    task = "unconditional-image-generation" if run.is_images else None
    results = [
        EvalResult(
            task_type=task or "reconstruction",
            dataset_type=run.data.name,
            dataset_name=run.data.name,
            metric_type=figure.kind,
            metric_name=figure.name,
            metric_value=round(figure.value, 6),
        )
        for figure in figures
    ]
    data = ModelCardData(
        library_name="glo-torch",
        license=license,
        model_name=name.rpartition("/")[2],
        pipeline_tag=task,
        tags=["glo", "generative-latent-optimization", "safetensors"],
        eval_results=results,
    )
    return f"---\n{data.to_yaml()}\n---"


def _facts(run: Run) -> list[tuple[str, str]]:
    config = run.decoder.config
    kept = run.settings
    return [
        ("data", f"{run.data.name}, {run.data.n:,} examples of {_shape(run)}"),
        ("decoder", f"`{config['name']}`, {_parameters(run):,} parameters"),
        ("code", f"{kept.code_dim} numbers, constraint `{kept.constraint}`"),
        ("loss", f"`{kept.loss}`"),
        ("epochs", f"{kept.epochs_for(run.data.n)}"),
        ("priors", ", ".join(f"`{prior}`" for prior in run.fitted_priors)),
    ]


def read_evaluation(run: Run) -> dict[str, Any]:
    """Return what `glo evaluate` wrote, or nothing where that is not there or damaged."""
    try:
        values: dict[str, Any] = read_json(run.folder / "evaluation.json")
        list(_evaluated(values, run.prior_name))
    except (OSError, AttributeError, KeyError, TypeError, ValueError):
        return {}
    return values


def _evaluated(found: dict[str, Any], prior: str) -> Iterator[Figure]:
    heldout = found.get("heldout") or {}
    if "mse" in heldout:
        yield Figure(
            name=f"MSE, {heldout['n']:,} unseen examples",
            kind="heldout_mse",
            value=heldout["mse"],
            digits=5,
        )
    if heldout.get("psnr") is not None:
        yield Figure(name="PSNR, unseen examples, dB", kind="heldout_psnr", value=heldout["psnr"])
    distance = found.get("priors", {}).get(prior, {}).get("fd")
    if distance:
        yield Figure(
            name=f"Fréchet distance of {distance['n']:,} samples in {distance['features']} "
            f"features (unseen examples: {distance['floor']:.2f})",
            kind="frechet_distance",
            value=distance["value"],
        )


def _about_figures(run: Run) -> str:
    units = "on pixels in [-1, 1]" if run.is_images else "in standard deviations of the columns"
    measured = (
        "" if read_evaluation(run) else " Unseen examples were not measured (`glo evaluate`)."
    )
    return f"Squared errors are {units}.{measured}"


def _outcome(run: Run) -> str:
    shape = ", ".join(map(str, (16, *run.data.shape)))
    return f"float32 ({shape}), " + ("in [-1, 1]" if run.is_images else "in the units of the data")


def _shape(run: Run) -> str:
    return " x ".join(map(str, run.data.shape)) + (" numbers" if len(run.data.shape) == 1 else "")


def _parameters(run: Run) -> int:
    return sum(parameter.numel() for parameter in run.decoder.parameters())
