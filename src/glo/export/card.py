"""Model card of a run for the Hugging Face Hub: metadata in YAML, then Markdown."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, final

from glo.runs.run import Run
from glo.utils.json_toml import read_json

__all__ = ["Figure", "read_evaluation", "read_figures", "render_card"]


@final
@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number.

    Attributes:
        name: name for the table of the card.
        kind: metric type for the metadata, such as "psnr".
        value: the number.
        digits: decimals in the table.
    """

    name: str
    kind: str
    value: float
    digits: int = 2

    @property
    def text(self) -> str:
        """The rounded value."""
        return f"{self.value:.{self.digits}f}"


def read_figures(run: Run) -> list[Figure]:
    """Return the figures of the summary of a run and, if any, of its evaluation."""
    summary = run.summary
    assert summary is not None, "a finished run has a summary"
    share = 100 * summary["explained_variance"]
    figures = [
        Figure(name="MSE, training examples", kind="mse", value=summary["mse"], digits=5),
        Figure(name="Variance explained, %", kind="explained_variance", value=share),
    ]
    if summary["psnr"] is not None:
        psnr = Figure(name="PSNR of the mean error, dB", kind="psnr", value=summary["psnr"])
        figures.insert(1, psnr)
    return [*figures, *_evaluation_figures(read_evaluation(run), run.prior_name)]


def render_card(
    run: Run, *, name: str, license: str | None = None, picture: str | None = None
) -> str:
    """Render the model card, README.md, of a finished run; `picture` is a file beside it."""
    from jinja2 import Environment, StrictUndefined

    assert run.summary is not None, "a finished run has a summary"
    source = files("glo.export").joinpath("card.md.jinja").read_text("utf-8")
    # Markdown is not escaped; an undefined name is an error of ours.
    environment = Environment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
    )
    figures = read_figures(run)
    shape = ", ".join(map(str, (16, *run.data.shape)))
    outcome = "in [-1, 1]" if run.is_images else "in the units of the data"
    units = "on pixels in [-1, 1]" if run.is_images else "in standard deviations of the columns"
    unmeasured = " Unseen examples were not measured (`glo evaluate`)."
    return environment.from_string(source).render(
        front=_metadata(run, figures, name=name, license=license),
        title=f"GLO of {run.data.name}",
        name=name,
        run=run,
        prior=run.prior_name,
        picture=picture,
        outcome=f"float32 ({shape}), {outcome}",
        facts=_facts(run),
        figures=[(figure.name, figure.text) for figure in figures],
        about_figures=f"Squared errors are {units}.{'' if read_evaluation(run) else unmeasured}",
        diagnosis=run.summary["diagnosis"],
    )


def _metadata(run: Run, figures: list[Figure], *, name: str, license: str | None) -> str:
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
    settings, data = run.settings, run.data
    parameters = sum(parameter.numel() for parameter in run.decoder.parameters())
    shape = " x ".join(map(str, data.shape)) + ("" if run.is_images else " numbers")
    return [
        ("data", f"{data.name}, {data.n:,} examples of {shape}"),
        ("decoder", f"`{run.decoder.config['name']}`, {parameters:,} parameters"),
        ("code", f"{settings.code_dim} numbers, constraint `{settings.constraint}`"),
        ("loss", f"`{settings.loss}`"),
        ("epochs", f"{settings.epochs_for(data.n)}"),
        ("priors", ", ".join(f"`{prior}`" for prior in run.fitted_priors)),
    ]


def read_evaluation(run: Run) -> dict[str, Any]:
    """Return the values of evaluation.json, empty where it is missing or damaged."""
    try:
        values: dict[str, Any] = read_json(run.folder / "evaluation.json")
        list(_evaluation_figures(values, run.prior_name))
    except (OSError, AttributeError, KeyError, TypeError, ValueError):
        return {}
    return values


def _evaluation_figures(values: dict[str, Any], prior: str) -> Iterator[Figure]:
    heldout = values.get("heldout") or {}
    if "mse" in heldout:
        name = f"MSE, {heldout['n']:,} unseen examples"
        yield Figure(name=name, kind="heldout_mse", value=heldout["mse"], digits=5)
    if heldout.get("psnr") is not None:
        yield Figure(name="PSNR, unseen examples, dB", kind="heldout_psnr", value=heldout["psnr"])
    distance = values.get("priors", {}).get(prior, {}).get("fd")
    if distance:
        name = (
            f"Fréchet distance of {distance['n']:,} samples in {distance['features']} "
            f"features (unseen examples: {distance['floor']:.2f})"
        )
        yield Figure(name=name, kind="frechet_distance", value=distance["value"])
