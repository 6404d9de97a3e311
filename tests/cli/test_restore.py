"""`glo restore`: each task on damaged files and on examples damaged on purpose, and mistakes."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.builders import SIDE, images, save_data
from tests.cli.conftest import Refuse

from glo.cli import restore as restore_command
from glo.cli.app import run
from glo.data import to_uint8
from glo.inversion import AveragePool, InversionOptions, invert
from glo.runs.run import open_run
from glo.workflows.encode import prepare_search
from glo.workflows.inputs import open_inputs
from glo.workflows.restore import Degradation, Restoration
from glo.workflows.restore import restore as restore_images


def save_image(path: str, pixels: NDArray[Any]) -> None:
    Image.fromarray(pixels).save(path)


def read_image(path: Path | str) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def facts(folder: str = "restored") -> dict[str, Any]:
    values = json.loads(Path(folder, "restored.json").read_text("utf-8"))
    assert isinstance(values, dict)
    return values


def test_small_images_are_enlarged(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = images(2, side=4, seed=4)
    save_image("10.png", small[0])
    save_image("ü [2]..png", small[1])
    words = ["--task", "superres", "--factor", "2", "--n-solutions", "3"]
    assert run(["restore", str(made), "10.png", "ü [2]..png", *words]) == 0
    said = capsys.readouterr()
    opened = open_run(made)
    truth = invert(
        opened.decoder,
        torch.from_numpy(small).unsqueeze(1).float() / 127.5 - 1,
        opened.codes,
        options=InversionOptions(operator=AveragePool(factor=2), prior="local", n_solutions=3),
    )
    values = facts()
    assert [image["name"] for image in values["images"]] == ["10.png", "ü [2]..png"]
    assert [image["file"] for image in values["images"]] == ["00000-10.png", "00001-2.png"]
    assert values["task"] == "superres"
    assert values["factor"] == 2
    assert not values["simulated"]
    for row, image in enumerate(values["images"]):
        assert image["residuals"] == pytest.approx(truth.solution_residuals[row].tolist())
        assert image["residual"] == min(image["residuals"])
        assert image["spread"] == pytest.approx(float(truth.std[row].square().mean().sqrt()))
        assert "psnr" not in image
        stored = read_image(Path("restored", image["file"]))
        assert np.array_equal(stored, to_uint8(truth.mean[row : row + 1])[0, ..., 0])
        for number in (1, 2, 3):
            answer = read_image(f"restored/solutions/{image['file'][:-4]}-{number}.png")
            assert answer.shape == (SIDE, SIDE)
    # Observation, restored and three answers, two lines.
    assert read_image("restored/grid.png").shape == (2 * 66 + 2, 5 * 66 + 2)
    assert "from left to right: observation, restored, 3 solutions\n" in said.out
    assert "2 images, superres: residual " in said.out
    assert "PSNR" not in said.out
    assert said.err.endswith("restoring: 2 of 2\n")


def test_what_is_known_is_kept_whatever_says_what_is_missing(made: Path) -> None:
    pixels = images(1, seed=6)[0]
    known = np.full((SIDE, SIDE), 255, np.uint8)
    known[:, : SIDE // 2] = 0
    spoilt = np.where(known, pixels, 77).astype(np.uint8)
    save_image("spoilt.png", spoilt)
    save_image("clear.png", np.stack([spoilt, known], axis=2))
    save_image("mask.png", known)
    save_image("mask-clear.png", np.stack([pixels, known], axis=2))
    # As a paint program saves it: with transparency, of which nothing is made.
    save_image("mask-opaque.png", np.stack([*[known] * 3, np.full_like(known, 255)], axis=2))
    save_image("mask-12-bit.png", known.astype(np.uint16) * 16)
    save_image("mask-1.png", known // 255)
    ways = [
        ["spoilt.png", "--hole", "left"],
        ["clear.png"],
        ["spoilt.png", "--mask", "mask.png"],
        ["spoilt.png", "--mask", "mask-clear.png"],
        ["spoilt.png", "--mask", "mask-opaque.png"],
        ["spoilt.png", "--mask", "mask-12-bit.png"],
        ["spoilt.png", "--mask", "mask-1.png"],
    ]
    found = []
    for number, words in enumerate(ways):
        assert run(["restore", str(made), *words, "--n-solutions", "2", "--out", f"r{number}"]) == 0
        file = facts(f"r{number}")["images"][0]["file"]
        found.append(read_image(f"r{number}/{file}"))
        assert np.array_equal(found[0], found[number])
    assert np.array_equal(found[0][known > 0], pixels[known > 0])
    assert not np.array_equal(found[0][known == 0], spoilt[known == 0])


@pytest.mark.parametrize(
    ("words", "damaged"),
    [
        (["--hole", "center:4"], False),
        (["--task", "superres", "--factor", "2"], True),
        (["--task", "deblur", "--sigma", "1"], True),
        (["--task", "denoise", "--noise", "0.3"], True),
    ],
)
def test_damage_on_purpose_is_measured(
    made: Path,
    tmp_path: Path,
    words: list[str],
    damaged: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pixels = images(3, seed=8)
    words = [save_data(tmp_path, pixels), *words, "--simulate", "--n-solutions", "2"]
    assert run(["restore", str(made), *words]) == 0
    said = capsys.readouterr().out
    values = facts()
    found = []
    for image in values["images"]:
        stored = read_image(f"restored/{image['file']}").astype(float)
        truth = pixels[len(found)]
        region = np.ones((SIDE, SIDE), bool)
        if not damaged:
            region[:] = False
            region[2:6, 2:6] = True
            assert np.array_equal(stored[~region], truth[~region])
        error = ((stored - truth) / 127.5)[region]
        # Files are rounded to bytes, which over sixteen pixels changes hundredths of a decibel.
        assert image["psnr"] == pytest.approx(10 * math.log10(4 / (error**2).mean()), abs=0.05)
        assert ("observed_psnr" in image) == damaged
        found.append(image["psnr"])
    assert values["simulated"]
    assert f": {np.mean(found):.2f} dB on average{', ' if damaged else chr(10)}" in said
    assert "observation, restored, the truth, 2 solutions" in said


def test_rows_keep_their_own_noise_and_order(made: Path, tmp_path: Path) -> None:
    opened, n = open_run(made), 110
    inputs = open_inputs(opened, [save_data(tmp_path, images(n, seed=1))])
    clean = inputs.dataset.batch(torch.arange(n))
    noisy = Degradation(noise=0.5)
    whole = noisy.apply(clean, torch.arange(n))
    assert torch.equal(whole[64:], noisy.apply(clean[64:], torch.arange(64, n)))
    assert abs(float((whole - clean).std()) - 0.5) < 0.02
    masks = torch.rand(n, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).round()
    degradation = Degradation(mask=masks)
    parts = list(
        restore_images(opened, inputs.dataset, degradation, prepare_search(opened), n_solutions=19)
    )
    # About 2,048 searches at a time.
    assert [part.rows.tolist() for part in parts] == [[*range(107)], [*range(107, n)]]
    for part in parts:
        assert part.solutions.shape == (len(part.rows), 19, 1, SIDE, SIDE)
        known = masks[part.rows] > 0
        assert torch.equal(part.images[known], clean[part.rows][known])
        assert not part.observations[~known].any()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["image.png"], "image.png has no alpha channel"),
        (["data.npy"], "No mask was given; give --mask FILE or --hole left."),
        (["image.png", "--hole", "lefft"], "--hole is 'lefft'; give left, right"),
        (["image.png", "--hole", "center:99"], "A hole of side 99 does not fit images of 8x8"),
        (["image.png", "--mask", "none.png"], "There is no mask none.png"),
        (["image.png", "--mask", "broken.png"], "The mask broken.png cannot be read: not an image"),
        (["image.png", "--mask", "wide.png"], "The mask wide.png has 16 x 16 pixels, but the"),
        (["image.png", "--mask", "black.png"], "The mask black.png hides everything"),
        (["image.png", "--mask", "white.png"], "The mask white.png hides nothing"),
        (["image.png", "--mask", "black.png", "--hole", "left"], "--mask and --hole exclude"),
        (["image.png", "--factor", "2"], "--factor is for --task superres, but the task is"),
        (["image.png", "--task", "superres"], "image.png has 8 x 8 pixels, but this task takes "
            "images of 1 x 2 x 2 for examples of 1 x 8 x 8"),
        (["image.png", "--task", "superres", "--factor", "3"], "factor 3"),
        (["image.png", "--task", "deblur", "--sigma", "9"], "A blur of sigma 9 is wider than"),
        (["image.png", "--task", "denoise", "--noise", "0"], "noise is 0; give a standard"),
        (["image.png", "--hole", "left", "--n-solutions", "99"], "n_solutions is 99"),
        (["wide.png", "--hole", "left"], "wide.png has 16 x 16 pixels, but"),
        (["wide.npy", "--hole", "left"], "wide has images of 1 x 16 x 16, but"),
        (["image.png", "--hole", "left", "--out", "data.npy"], "--out is data.npy, a file"),
        (["image.png", "--hole", "left", "--out", "."], "--out is ., which has other files"),
    ],
)  # fmt: skip
def test_refusals(
    made: Path, tmp_path: Path, words: list[str], part: str, refuse_unchanged: Refuse
) -> None:
    save_image("image.png", images(1)[0])
    save_image("wide.png", images(1, side=16)[0])
    save_image("black.png", np.zeros((SIDE, SIDE), np.uint8))
    save_image("white.png", np.full((SIDE, SIDE), 255, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no image")
    np.save("wide.npy", images(3, side=16))
    save_data(tmp_path)
    refuse_unchanged(["restore", str(made), *words], part)


def test_a_second_restoration_leaves_the_first(made: Path, tmp_path: Path) -> None:
    words = ["restore", str(made), save_data(tmp_path), "--hole", "left", "--n-solutions", "1"]
    assert run([*words, "--limit", "2"]) == 0
    assert run([*words, "--limit", "3"]) == 0
    assert len(facts()["images"]) == 2
    assert len(facts("restored-2")["images"]) == 3
    # A folder that is named is taken.
    assert run([*words, "--limit", "1", "--out", "restored"]) == 0
    assert len(facts()["images"]) == 1


def test_a_stopped_command_continues_if_it_is_repeated(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuse: Refuse
) -> None:
    monkeypatch.setattr("glo.workflows.encode.batch_rows", lambda _=1: 2)
    data = save_data(tmp_path, images(5, seed=2))
    words = ["restore", str(made), data, "--task", "denoise", "--n-solutions", "2"]
    assert run([*words, "--out", "whole"]) == 0
    rows = list[int]()

    def stop(batch: Restoration, *given: Any) -> dict[str, Any]:
        rows.extend(batch.rows.tolist())
        if 2 in rows and not again:
            raise KeyboardInterrupt
        return save(batch, *given)

    save, again = restore_command._save, False
    monkeypatch.setattr(restore_command, "_save", stop)
    assert run(words) == 130
    assert facts()["finished"] is False
    again = True
    refuse([*words[:-1], "3"], "another choice of options")
    rows.clear()
    assert run(words) == 0
    assert rows == [2, 3, 4]
    assert facts() == facts("whole") | {"finished": True}
    for path in Path("whole").rglob("*.png"):
        assert Path("restored", path.relative_to("whole")).read_bytes() == path.read_bytes()
    assert not Path("restored.parts").exists()


def test_diverse_solutions_are_further_apart(made: Path, tmp_path: Path) -> None:
    words = ["restore", str(made), save_data(tmp_path, images(4, seed=2)), "--hole", "bottom"]
    words += ["--n-solutions", "2"]
    assert run([*words, "--out", "near"]) == 0
    assert run([*words, "--diverse", "--out", "far"]) == 0
    near, far = (facts(folder)["images"] for folder in ("near", "far"))
    for one, other in zip(near, far, strict=True):
        assert len(other["residuals"]) == 2
        assert other["residuals"] == sorted(other["residuals"])
        assert other["residuals"][1] <= 2.01 * max(other["residual"], one["residuals"][1])
    apart = [sum(image["spread"] for image in each) for each in (near, far)]
    assert apart[1] > apart[0]


@pytest.mark.parametrize(("level", "agree"), [(0.0, False), (2.0, True)])
def test_solutions_that_agree_are_said_to(
    level: float,
    agree: bool,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(restore_command, "_LEVEL", level)
    words = [save_data(tmp_path, images(2, seed=2)), "--hole", "left", "--n-solutions", "2"]
    assert run(["restore", str(made), *words]) == 0
    assert ("of 2 of 2 images agree" in capsys.readouterr().out) == agree
