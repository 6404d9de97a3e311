"""`glo export`: a run for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING

from glo.cli.open_run import DecoderOption, open_with_decoder

if TYPE_CHECKING:
    from glo.runs.run import Run

__all__ = ["export"]


def export(
    run: Path,
    /,
    *,
    onnx: Path | None = None,
    web: Path | None = None,
    hub: Path | None = None,
    codes: Path | None = None,
    tensorboard: Path | None = None,
    prior: str | None = None,
    runtime: Path | None = None,
    license: str | None = None,
    decoder: DecoderOption = None,
) -> int:
    """Write a run in the form of other programs; several forms at once are fine.

    Args:
        run: The run folder.
        onnx: A folder for sampler.onnx (noise to codes) and decoder.onnx (codes to examples).
        web: A folder for a page that samples in the browser, from any web server.
        hub: A folder in the layout of the Hugging Face Hub, with a model card. To publish it:
            hf upload USER/NAME FOLDER.
        codes: A .parquet or .csv file for the codes of the training examples, with their labels
            and errors.
        tensorboard: A folder for an event file with the curves and pictures of the training.
        prior: The prior that --onnx and --web take; unset: the run's own.
        runtime: For --web, the npm package onnxruntime-web: its folder, or the .tgz that npm pack
            makes; unset: node_modules/onnxruntime-web.
        license: For --hub, identifier of the weights' licence, such as mit.
    """
    from glo.errors import UserError

    opened = open_with_decoder(run, decoder)
    if all(place is None for place in (onnx, web, hub, codes, tensorboard)):
        raise UserError(
            "Nothing was asked for; give --onnx, --web, --hub or --tensorboard with a folder, or "
            "--codes with a file."
        )
    if onnx is not None:
        _onnx(opened, onnx, prior)
    if web is not None:
        _web(opened, web, runtime, prior)
    if hub is not None:
        _hub(opened, hub, license)
    if codes is not None:
        _codes(opened, codes)
    if tensorboard is not None:
        _tensorboard(opened, tensorboard)
    return 0


def _onnx(run: "Run", folder: Path, prior: str | None) -> None:
    from glo.export import export_onnx

    made = export_onnx(run, folder, prior=prior)
    print(
        f"{made.sampler}: noise to codes; {made.decoder}: codes to examples. 16 samples differ by "
        f"at most {made.difference:.1e} from those of glo in float32."
    )


def _web(run: "Run", folder: Path, runtime: Path | None, prior: str | None) -> None:
    from glo.export import export_web

    export_web(run, folder, runtime=runtime, prior=prior)
    print(f"{folder}: a page. To see it: python -m http.server --directory {folder}")


def _hub(run: "Run", folder: Path, license: str | None) -> None:
    from glo.export import save_pretrained

    save_pretrained(run, folder, license=license)
    print(f"{folder}: a run with its model card. To publish it: hf upload USER/NAME {folder}")


def _codes(run: "Run", path: Path) -> None:
    from glo.export import save_codes

    print(f"{save_codes(run, path):,} codes of {run.codes.shape[1]} numbers: {path}")


def _tensorboard(run: "Run", folder: Path) -> None:
    from glo.export import export_tensorboard

    export_tensorboard(run, folder)
    print(f"{folder}: curves and pictures. To see them: tensorboard --logdir {folder}")
