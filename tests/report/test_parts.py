"""The parts of a page: sheets, drawings, what is gathered, and the command."""

import base64
import io
import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image
from tests.report.conftest import labelled

from glo.cli.app import run as glo
from glo.config.presets import PRESETS
from glo.config.settings import Settings
from glo.data import Dataset
from glo.latents.neighbours import neighbours
from glo.report.blocks import Picture, Plot
from glo.report.code_scatter import code_scatter_section
from glo.report.context import read_context
from glo.report.curves import curves_section
from glo.report.overview import train_command
from glo.report.reconstructions import reconstructions_section
from glo.report.samples import nearest_section
from glo.report.sheets import sheet
from glo.report.svg import SERIES, axes_style, log_scale, new_axes, to_plot
from glo.runs.data_record import DataRecord
from glo.runs.reconstruction_errors import write_errors
from glo.runs.run import Run, open_run
from glo.training.evaluation import squared_errors
from glo.utils.json_toml import toml_lines
from glo.utils.random import normal


def pixels(picture: Picture) -> Any:
    data = base64.b64decode(picture.uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def test_a_sheet_lays_images_out_with_gaps_to_see_through() -> None:
    images = torch.linspace(-1, 1, 3).view(3, 1, 1, 1).expand(3, 1, 8, 8)
    found = pixels(sheet(images, columns=2, alt=""))
    assert found.shape == (17, 17, 4)
    assert found[0, 0].tolist() == [0, 0, 0, 255]
    assert found[0, 9].tolist() == [128, 128, 128, 255]
    assert found[9, 0].tolist() == [255, 255, 255, 255]
    assert (found[:, 8, 3] == 0).all()
    assert (found[9:, 9:, 3] == 0).all(), "there is no fourth image"


def test_the_first_of_a_line_can_stand_apart() -> None:
    images = torch.zeros(4, 1, 8, 8)
    together, apart = (
        pixels(sheet(images, columns=2, alt="", indent=way)) for way in (False, True)
    )
    assert apart.shape[1] == together.shape[1] + 2
    assert (apart[:, 8:11, 3] == 0).all()


def test_large_images_are_made_smaller_and_colour_stays() -> None:
    images = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1).expand(2, 3, 256, 256)
    picture = sheet(images, columns=2, alt="")
    assert (picture.width, picture.height, picture.pixelated) == (198, 96, False)
    red = pixels(picture)[48, 48]
    assert red[0] > 240
    assert red[1:3].max() < 20


def test_drawings_have_a_style_of_their_own_and_leave_no_trace() -> None:
    with mpl.rc_context({"font.size": 31.0, "svg.fonttype": "path"}):
        before = mpl.rcParams.copy()
        drawn = []
        for _ in range(2):
            with axes_style():
                axes = new_axes()
                axes.plot([1, 2, 40], color=SERIES[0])
                axes.set_xlabel("a $b$ <c>")
                log_scale(axes, "y")
                drawn.append(to_plot(axes, "name", alt='say "this"', caption="").svg)
        assert mpl.rcParams.copy() == before
    assert drawn[0] == drawn[1]
    assert "a $b$ &lt;c&gt;</text>" in drawn[0]
    assert 'aria-label="say &#34;this&#34;"' in drawn[0]
    assert ">20</text>" in drawn[0], "numbers between the powers of ten"
    assert "31px" not in drawn[0]


def test_the_held_out_error_is_a_curve_where_it_was_measured(pictures: Run) -> None:
    context = read_context(pictures, None)
    errors = iter([0.02, 0.05])
    records = [
        {**record, "validation_mse": next(errors)} if record["kind"] == "epoch" else record
        for record in context.records
    ]
    drawn = curves_section(replace(context, records=records)).items
    assert len(drawn) == len(curves_section(context).items) + 1
    (plot,) = (each for each in drawn if isinstance(each, Plot) and "Held-out" in each.caption)
    assert "is 0.02 after epoch 1, the last is 0.05" in plot.svg


def test_rows_are_sorted_by_the_errors_that_the_run_keeps(pictures: Run) -> None:
    context = read_context(pictures, None)
    assert pictures.errors is not None
    assert torch.equal(context.errors, pictures.errors.sort().values)
    assert torch.equal(pictures.errors[context.rows], context.errors)
    assert context.labels is not None
    assert context.labels.tolist() == [row % 3 for row in range(20)]


def test_errors_that_are_not_kept_are_measured(table: tuple[Run, Dataset], tmp_path: Path) -> None:
    run, data = table[0], table[0].standardize(table[1])
    kept = read_context(run, data)
    write_errors(run.folder, torch.zeros(3))
    try:
        measured = read_context(open_run(run.folder), data)
        assert read_context(open_run(run.folder), None).rows.numel() == 0
    finally:
        write_errors(run.folder, squared_errors(run.decoder, run.codes, data, run.settings))
    assert torch.equal(measured.rows, kept.rows)
    torch.testing.assert_close(measured.errors, kept.errors)


def test_pairs_go_from_the_best_to_the_worst(pictures: Run) -> None:
    context, data = read_context(pictures, labelled()), labelled()
    best, worst = reconstructions_section(context).items
    assert isinstance(best, Picture)
    assert isinstance(worst, Picture)
    for picture, row, column in ((best, context.rows[0], 0), (worst, context.rows[-1], 7)):
        found = pixels(picture)[:8, 9 * column : 9 * column + 8, 0]
        assert (found == data.rows[int(row)][..., 0]).all()
        assert f"{row} (<b>{row}.png)" in picture.caption


def test_neighbours_have_their_identities(pictures: Run) -> None:
    context = read_context(pictures, None)
    section = nearest_section(context)
    assert section is not None
    code = context.priors[0].sample(1, seed=pictures.settings.seed)[0]
    rows, _ = neighbours(pictures.codes, code, 6)
    assert section.items[0].caption.startswith(pictures.row_ids.describe(rows.tolist()))


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("mnist", {}),
        ("mnist", {"shuffle": False, "drop_last": True, "code_betas": (0.1, 0.8), "epochs": 3}),
        ("tensorlayer-baseline", {"limit": 50_000}),
        ("paper", {"prior": "imle", "loss": "mse+0.1*lap1"}),
    ],
)
def test_the_command_makes_such_a_run(
    preset: str, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(**{**PRESETS[preset].settings, **changes})
    facts = DataRecord(source="my data", name="x", n=9, shape=(1, 8, 8), fingerprint="0")
    made = train_command(Run(Path("runs/x y"), settings=settings, data=facts, preset=preset))
    words = shlex.split(made)
    assert words[:5] == ["glo", "train", "my data", "--out", "runs/x y"]
    assert glo([*words[1:], "--dry-run"]) == 0
    assert capsys.readouterr().out == f"# preset {preset}\n{toml_lines(settings.to_dict())}"


def test_a_run_from_python_has_no_command() -> None:
    facts = DataRecord(source="array", name="x", n=9, shape=(1, 8, 8), fingerprint="0")
    assert train_command(Run(Path("x"), settings=Settings(), data=facts, preset="python")) == ""


@pytest.mark.parametrize(
    ("spread", "n_plots"), [([0.0, 0.0, 0.0], 1), ([1e-7, 0.0, 0.0], 2), ([0.1, 0.1, 0.1], 2)]
)
def test_discriminants_need_codes_that_differ_within_a_label(
    spread: list[float], n_plots: int, pictures: Run
) -> None:
    labels = torch.arange(3).repeat_interleave(9)
    noise = torch.tensor(spread)[labels, None] * normal(0, 0, 27, 4, stream="codes")
    codes = torch.eye(4)[labels] + noise
    context = read_context(pictures, None)
    run = SimpleNamespace(codes=codes)
    context = replace(context, run=cast(Run, run), labels=labels)
    assert len(code_scatter_section(context).items) == n_plots


def test_rows_without_a_label_are_no_dots_of_a_class(pictures: Run) -> None:
    labels = torch.arange(28) // 9
    labels[-1] = -1
    codes = torch.eye(4)[labels] + normal(0, 0, 28, 4, stream="codes")
    run = SimpleNamespace(codes=codes)
    context = replace(read_context(pictures, None), run=cast(Run, run), labels=labels)
    principal, discriminants = (cast(Plot, each) for each in code_scatter_section(context).items)
    assert [name for _, name in principal.legend] == ["no label", *context.label_names[:3]]
    assert [name for _, name in discriminants.legend] == list(context.label_names[:3])
