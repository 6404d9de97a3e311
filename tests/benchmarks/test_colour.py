"""The study of colour pictures: every method on a tiny set, the table, and the sheets."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.colour import study
from benchmarks.colour.methods import Mirror, make_glo
from benchmarks.colour.problem import Problem
from benchmarks.colour.sheets import sheet
from benchmarks.colour.study import psnr
from benchmarks.emoji import apart
from benchmarks.few_shot import measure
from benchmarks.rows import Rows
from PIL import Image
from torch import nn

from glo.config.settings import Settings
from glo.decoders import ResNet


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    rng = np.random.default_rng(0)
    for part, count in (("train", 14), ("heldout", 5)):
        (tmp_path / part).mkdir()
        for number in range(count):
            pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
            Image.fromarray(pixels).save(tmp_path / part / f"{number:02}.png")
    made = Problem(data=tmp_path, preset="colour-64", seconds=0.2, n_samples=10)
    # The preset's decoder is larger than a test can wait for.
    tiny = {"size": 16, "channels": 3, "decoder": "residual", "width": 4, "code_dim": 3}
    vars(made)["settings"] = Settings(**tiny, loss="lap1", batch_size=4, device="cpu")
    return made


WITH_FEATURES = ["GLO, with features", "autoencoder, with features"]


class Grey(nn.Module):
    """Stands for the feature network, which is slow."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))


def test_every_method_has_a_line_and_a_second_time_is_free(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "efficientnet_features", lambda side: Grey())
    monkeypatch.setattr(study, "_WITH_FEATURES", "l1")
    out = tmp_path / "out"
    for _ in range(2):
        rows = Rows(out, {"preset": "tiny"})
        found = [rows.make(name, make) for name, make in study._methods(problem).items()]
        assert None not in found
        study._report(problem, out, rows, [row for row in found if row])
        monkeypatch.setattr(study, "make_glo", lambda *_: pytest.fail("made twice"))
    lines = (out / "table.md").read_text("utf-8").splitlines()[4:]
    names = [line.split(" | ")[0].strip("| ") for line in lines]
    assert names[0] == "held-out pictures themselves"
    assert names[1:] == ["PCA", "GLO", "autoencoder", *WITH_FEATURES]
    for row in json.loads((out / "table.json").read_text("utf-8"))["rows"][1:]:
        assert row["worst_train_psnr"] <= row["train_psnr"]
        assert len(row["fd_groups"]) == 2
        assert all(0 < value < 60 for value in row["heldout_psnr"].values())
    assert {path.name for path in out.glob("*.jpg")} == {"train.jpg", "heldout.jpg", "samples.jpg"}


def test_the_images_may_be_arrays_in_files(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    np.savez(tmp_path / "heldout.npz", x=pixels, hair=["a", "b", "c"])
    problem = Problem(data=tmp_path, preset="colour-64", seconds=1)
    expected = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(problem.heldout, expected)


def test_glo_keeps_to_its_seconds(problem: Problem) -> None:
    made = make_glo(problem)
    # The first step of a process costs seconds of its own.
    assert made.cpu < problem.seconds + 5
    assert made.epochs > 0
    assert {way: len(found) for way, found in made.heldout.items()} == {
        "search": 5,
        "by its loss": 5,
    }


@pytest.mark.parametrize("side", [8, 64])
def test_the_encoder_mirrors_the_decoder(side: int) -> None:
    decoder = ResNet(code_dim=5, shape=(3, side, side), width=4)
    encoder = Mirror(decoder, 4)
    assert encoder(torch.zeros(2, 3, side, side)).shape == (2, 5)
    widths = [layer.out_channels for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert max(widths) == decoder.widths[0]
    assert widths[0] == decoder.widths[-1]


def test_sheets_have_lines_for_names() -> None:
    tiles = np.zeros((3, 8, 8, 3), np.uint8)
    picture = sheet({"one": tiles, "two": tiles}, columns=2)
    assert picture.height == 4 * 10 + 2 * 2
    assert picture.getpixel((191, 1)) == (0, 0, 0)


def test_pictures_too_alike_are_left_out() -> None:
    shades = [(code, Image.new("RGB", (40, 40), (grey,) * 3)) for code, grey in [(1, 0), (2, 200)]]
    again = (3, Image.new("RGB", (40, 40), (201,) * 3))
    assert [code for code, _ in apart([*shades, again], 0.03)] == [1, 2]


def test_a_picture_is_dropped_when_another_takes_its_place() -> None:
    real = torch.stack([torch.full((3, 4, 4), shade) for shade in (-1.0, 0.0, 1.0)])
    made = real + torch.tensor([0.1, 0.9, 0.0]).view(3, 1, 1, 1)
    figures = measure(real, made, real)
    assert (figures["pictures"], figures["kept"]) == (3, 2)
    assert figures["worst_psnr"] == pytest.approx(float(psnr(made, real)[1]))
    assert figures["between_pictures"] == pytest.approx(1.0)
    assert figures["sample_to_picture"] == pytest.approx(0.0, abs=1e-6)
