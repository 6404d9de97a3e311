"""`glo train`: from data to a run folder."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from glo.cli.options import NOTHING_GIVEN, Given, merge

if TYPE_CHECKING:
    from glo.data import Dataset
    from glo.workflows.train import TrainingRun


def train(
    data: str,
    /,
    *,
    out: Path | None = None,
    preset: str | None = None,
    config: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    watch: Annotated[bool, Parameter(negative="")] = False,
    given: Annotated[Given, Parameter(name="*")] = NOTHING_GIVEN,  # type: ignore[valid-type]
) -> int:
    """Learn a decoder and one code per example, and write a run folder.

    The same command resumes a stopped run. Ctrl-C stops and saves.

    Args:
        data: mnist (comes with glo), a folder of images, a .npy, .npz, .csv or .parquet file, a
            folder of IDX files, or a data set of Hugging Face as hf:NAME.
        out: The run folder; unset: runs/ and the name of the data.
        preset: A named recipe: mnist (the default), colour-64, colour-128, few-shot (100 to 1,000
            pictures), paper (the paper's rates) or tensorlayer-baseline (the project that stalls).
        config: A TOML file of settings, such as the config.toml of another run.
        dry_run: Print the merged settings and stop.
        watch: Serve a page on this machine that shows the run while it trains, and print its
            address.
        given: Settings.
    """
    settings, preset = merge(preset, config, given)
    if dry_run:
        from glo.utils.json_toml import toml_lines

        print(f"# preset {preset}\n{toml_lines(settings.to_dict())}", end="")
        return 0
    # torch takes seconds to import; help and errors do not need it.
    from glo.cli.live_page import LivePage
    from glo.cli.open_run import import_decoder_class
    from glo.data import open_source
    from glo.decoders import is_custom
    from glo.runs.reading_record import describe_skipped
    from glo.runs.training_data import source_options
    from glo.utils.distributed import ProcessGroup
    from glo.utils.signals import StopRequest
    from glo.workflows.progress import ProgressBar
    from glo.workflows.train import TrainingRun, default_callbacks

    ranks = ProcessGroup.join()
    # From the command line only: code must not run because a file names it.
    word: str | None = vars(given)["decoder"]
    custom = import_decoder_class(word) if is_custom(word) else None
    samples = open_source(data, source_options(settings, limit=settings.limit))
    if ranks.is_main:
        if samples.skipped:
            print(f"Warning: {describe_skipped(samples.skipped)}")
        if preset == "mnist" and config is None and settings.decoder is None:
            _recommend_preset(samples)
    name = samples.name if preset == "mnist" else f"{samples.name}-{preset}"
    folder = out or Path("runs") / name
    callbacks = [*default_callbacks(), ProgressBar()]
    page = LivePage(word if custom else None) if watch and ranks.is_main else None
    with StopRequest() as stop:
        training = TrainingRun(
            folder,
            samples,
            settings,
            source=data,
            preset=preset,
            ranks=ranks,
            decoder=custom,
            callbacks=callbacks if page is None else [*callbacks, page],
            stop=lambda: stop.requested,
        )
        try:
            return _fit(training, _resume_command(data, folder, preset, config))
        finally:
            training.close()
            if page is not None:
                page.stop()
            ranks.shutdown()


def _fit(training: "TrainingRun", command: str) -> int:
    from glo.utils.distributed import LOST

    main, folder = training.ranks.is_main, training.run.folder
    try:
        finished = training.fit()
    except BrokenPipeError:
        # The reader of our lines is gone; the work is saved all the same.
        training.save()
        raise
    except RuntimeError as error:
        if training.ranks.size == 1 or not LOST.search(str(error)):
            raise
        print(
            f"glo: process {training.ranks.rank} lost the others; the last checkpoint is kept, "
            f"and the same command resumes there.",
            file=sys.stderr,
        )
        return 1
    if not finished:
        if main:
            print(f"Stopped and saved in {folder}. To resume: {command}")
        return 130
    if main:
        _show_outcome(training)
    # None where the run was finished before.
    if main and training.state is not None:
        _report(training)
    return 0


def _report(training: "TrainingRun") -> None:
    from glo.report import write_report

    try:
        print(f"Report: {write_report(training.run, data=training.samples)}")
    # The run is complete without its report, so no error of the report may fail it.
    except Exception as error:
        print(
            f"Warning: report.html was not written ({type(error).__name__}: {error}); the run is "
            f"complete. To try again: glo report {training.run.folder}"
        )


def _show_outcome(training: "TrainingRun") -> None:
    from glo.decoders import is_custom
    from glo.utils.format import format_duration

    summary, folder = training.run.summary, training.run.folder
    assert summary is not None, "a finished run has a summary"
    base, noun = summary["baselines"], "image" if training.run.is_images else "example"
    print(
        f"MSE {summary['mse']:.4f} on {summary['data']['n']:,} training examples "
        f"(mean {noun} {base['mean_image']:.4f}, PCA {base['pca']:.4f}); "
        f"{100 * summary['explained_variance']:.1f} % of the variance explained "
        f"in {format_duration(summary['seconds'])}."
    )
    if record := training.validation.record:
        held_out = summary["validation"]
        print(
            f"MSE {held_out['mse']:.4f} on {held_out['n']:,} held-out examples; the best check was "
            f"{record.best.error:.4f} after epoch {record.best.epoch} of {record.last.epoch}."
        )
    pictures = sorted(path.name for path in (folder / "samples").glob("*.png"))
    final = [name for name in pictures if not name.startswith("epoch-")]
    if final:
        print(f"Pictures in {folder / 'samples'}: {', '.join(final)}")
    decoder = training.run.settings.decoder
    option = f" --decoder {decoder}" if is_custom(decoder) else ""
    print(f"Summary: {folder / 'summary.json'}")
    if training.run.data.n > 1:
        print(f"More samples: glo sample {folder} --n 64 --seed 1{option}")


def _recommend_preset(samples: "Dataset") -> None:
    from glo.config.presets import recommend_preset

    name = recommend_preset(samples.shape, len(samples))
    if name is not None:
        print(
            f"Note: this is the preset for small grey images; for {len(samples):,} colour images "
            f"of {samples.shape[2]} x {samples.shape[1]} there is --preset {name}."
        )


def _resume_command(data: str, folder: Path, preset: str, config: Path | None) -> str:
    import shlex

    words = sys.argv[1:] if len(sys.argv) > 1 and sys.argv[1] == "train" else None
    if words is None:
        words = ["train", data, "--out", str(folder), "--preset", preset]
        words += ["--config", str(config)] if config else []
    # Set by torchrun.
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    torchrun = ["torchrun", "--nproc-per-node", processes, "-m"] if processes != "1" else []
    return shlex.join([*torchrun, "glo", *words])
