"""`glo export`: a run in the formats of other programs."""

from pathlib import Path

from glo.cli.open_run import DecoderOption, open_with_decoder
from glo.cli.rows import parse_rows

__all__ = ["export"]


def export(
    run: Path,
    /,
    *,
    onnx: Path | None = None,
    web: Path | None = None,
    hub: Path | None = None,
    codes: Path | None = None,
    rows: str | None = None,
    tensorboard: Path | None = None,
    prior: str | None = None,
    runtime: Path | None = None,
    license: str | None = None,
    decoder: DecoderOption = None,
) -> int:
    """Write a run in the formats of other programs, one or several at once.

    Args:
        run: The run folder.
        onnx: A folder for sampler.onnx (noise to codes) and decoder.onnx (codes to examples).
        web: A folder for a page that samples in the browser, from any web server.
        hub: A folder in the layout of the Hugging Face Hub, with a model card. To publish it:
            hf upload USER/NAME FOLDER.
        codes: A .parquet or .csv file for the codes of the training examples, with their labels
            and errors.
        rows: For --codes, the examples to write, in this order: row numbers, ranges and identities,
            such as 3,17,40-49, or a text file of them, one a line; unset: all.
        tensorboard: A folder for an event file with the curves and pictures of the training.
        prior: The prior of --onnx and --web; unset: the default prior of the run.
        runtime: For --web, the npm package onnxruntime-web: its folder, or the .tgz of npm pack;
            unset: node_modules/onnxruntime-web, or fetched by npm.
        license: For --hub, identifier of the license of the weights, such as mit.
    """
    from glo import export as to
    from glo.errors import UserError

    opened = open_with_decoder(run, decoder)
    if all(path is None for path in (onnx, web, hub, codes, tensorboard)):
        raise UserError(
            "No format was given; give --onnx, --web, --hub or --tensorboard with a folder, or "
            "--codes with a file."
        )
    if rows is not None and codes is None:
        raise UserError("--rows chooses the codes to write; give --codes with a file, too.")
    numbers = None if rows is None else parse_rows(opened.row_ids, rows, "--rows")
    if onnx is not None:
        graphs = to.export_onnx(opened, onnx, prior=prior)
        print(
            f"{graphs.sampler}: noise to codes; {graphs.decoder}: codes to examples. 16 samples "
            f"differ by at most {graphs.difference:.1e} from samples of glo in float32."
        )
        if graphs.encoder is not None:
            print(
                f"{graphs.encoder}: examples and masks to codes, which differ by at most "
                f"{graphs.code_difference:.1e} from those of glo."
            )
    if web is not None:
        to.export_web(opened, web, runtime=runtime, prior=prior)
        print(f"{web}: a page. To see it: python -m http.server --directory {web}")
    if hub is not None:
        to.save_pretrained(opened, hub, license=license)
        print(f"{hub}: a run with its model card. To publish it: hf upload USER/NAME {hub}")
    if codes is not None:
        n = to.save_codes(opened, codes, numbers)
        print(f"{n:,} codes of {opened.settings.code_dim} numbers: {codes}")
    if tensorboard is not None:
        to.export_tensorboard(opened, tensorboard)
        print(
            f"{tensorboard}: curves and pictures. To see them: tensorboard --logdir {tensorboard}"
        )
    return 0
