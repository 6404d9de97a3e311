"""A run in the Hub's layout: what is in it, and that it comes back bit for bit."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi, ModelCard
from PIL import Image
from tests.builders import contents, train
from tests.cli.test_identities import draw

import glo
from glo import errors
from glo.cli.app import run as command
from glo.errors import UserError
from glo.export import fetch_pretrained, from_pretrained, push_to_hub, save_pretrained
from glo.runs.run import ENCODER_FILE, Run, open_run
from glo.utils.files import write_text

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_folder_brings_the_same_samples_back(pictures: Run, tmp_path: Path) -> None:
    folder = save_pretrained(pictures, tmp_path / "mine", license="mit")
    back = from_pretrained(folder)
    for prior in ("gaussian", "mixture", "flow-matching"):
        assert torch.equal(
            back.sample(5, seed=2, prior=prior), pictures.sample(5, seed=2, prior=prior)
        )
    assert torch.equal(back.sample(3, label="odd"), pictures.sample(3, label="odd"))
    assert torch.equal(back.codes, pictures.codes)
    assert back.summary == pictures.summary
    with Image.open(folder / "samples.png") as picture:
        assert picture.size == (8 * 66 + 2, 8 * 66 + 2)


def test_the_encoder_goes_and_the_card_says_so(pictures: Run, tmp_path: Path) -> None:
    folder = save_pretrained(pictures, tmp_path / "mine")
    back = from_pretrained(folder)
    assert back.encoder is not None
    assert pictures.encoder is not None
    examples = pictures.reconstruct(torch.arange(3))
    assert torch.equal(back.encoder(examples), pictures.encoder(examples))
    assert "No encoder" not in (folder / "README.md").read_text("utf-8")
    without = tmp_path / "run"
    shutil.copytree(pictures.folder, without)
    (without / ENCODER_FILE).unlink()
    folder = save_pretrained(open_run(without), tmp_path / "other")
    assert "No encoder, no discriminator." in (folder / "README.md").read_text("utf-8")
    assert from_pretrained(folder).encoder is None


def test_the_card_is_what_the_hub_reads(pictures: Run, tmp_path: Path) -> None:
    folder = save_pretrained(pictures, tmp_path / "mine", name="someone/blobs", license="mit")
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "mit"
    assert card.data.library_name == "glo-torch"
    assert card.data.pipeline_tag == "unconditional-image-generation"
    assert pictures.summary is not None
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found["psnr"] == pytest.approx(pictures.summary["psnr"], abs=1e-6)
    assert 'from_pretrained("someone/blobs")' in card.text
    assert "![64 samples](samples.png)" in card.text
    assert f"| PSNR of the mean error, dB | {pictures.summary['psnr']:.2f} |" in card.text
    assert "Unseen examples were not measured" in card.text
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert (config["model_type"], config["decoder"]["name"]) == ("glo", "dcgan")


def test_an_evaluation_is_in_the_card_and_names_no_folder(pictures: Run, tmp_path: Path) -> None:
    run = Run(
        tmp_path / "run", settings=pictures.settings, data=pictures.data, preset=pictures.preset
    )
    shutil.copytree(pictures.folder, run.folder)
    distance = {"value": 4.25, "floor": 2.5, "features": "digits", "n": 10_000}
    found = {
        "run": "/home/me/run",
        "data": {"source": "/home/me/blobs"},
        "heldout": {"n": 1000, "mse": 0.00471, "psnr": 30.43},
        "priors": {"gaussian": {"fd": distance}},
    }
    write_text(run.folder / "evaluation.json", json.dumps(found))
    folder = save_pretrained(run, tmp_path / "mine")
    text = (folder / "README.md").read_text("utf-8")
    assert "| PSNR, unseen examples, dB | 30.43 |" in text
    assert "10,000 samples in digits features (unseen examples: 2.50) | 4.25 |" in text
    assert "license" not in text.split("---")[1]
    assert all(b"/home/me" not in content for content in contents(folder).values())


def test_vectors_have_a_card_without_pictures(numbers: Run, tmp_path: Path) -> None:
    folder = save_pretrained(numbers, tmp_path / "mine")
    text = (folder / "README.md").read_text("utf-8")
    assert "samples.png" not in text
    assert "in the units of the data" in text
    assert not (folder / "samples.png").exists()
    assert torch.equal(from_pretrained(folder).sample(4), numbers.sample(4))


def test_only_what_is_needed_goes_and_folders_are_not_named(pictures: Run, tmp_path: Path) -> None:
    placed = Run(
        tmp_path / "run", settings=pictures.settings, data=pictures.data, preset=pictures.preset
    )
    shutil.copytree(pictures.folder, placed.folder)
    data = {**placed.data.to_dict(), "source": "/home/me/secret place/blobs"}
    placed.data = type(placed.data).from_dict(data)
    folder = save_pretrained(placed, tmp_path / "mine")
    assert from_pretrained(folder).data.source == "blobs"
    names = set(contents(folder))
    assert {"README.md", "config.json", "config.toml", "summary.json"} <= names
    assert {name.split("/")[1] for name in names if name.startswith("checkpoint/")} == {"final"}
    assert not any(name.startswith("samples/") or name == "lock" for name in names)


def test_no_name_of_a_training_file_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
    for k in range(20):
        draw(tmp_path / f"data/{'ward' if k % 2 else 'home'}/jane-{k}.png", 10 * k)
    (tmp_path / "data/ward/jane-broken.png").write_bytes(b"no image")
    assert train(str(tmp_path / "data"), tmp_path / "run", "--prior", "gaussian") == 0
    folder = save_pretrained(open_run(tmp_path / "run"), tmp_path / "mine")
    assert b"jane" in (tmp_path / "run" / "reading.json").read_bytes()
    assert not any(b"jane" in content for content in contents(folder).values())
    assert open_run(folder).reading == open_run(tmp_path / "run").reading
    # Rows that were added to an export have identities, which another export has not.
    draw(tmp_path / "more/home/joe.png", 90)
    assert command(["add", str(folder), str(tmp_path / "more")]) == 0
    again = open_run(save_pretrained(open_run(tmp_path / "run"), folder))
    assert again.row_ids.of(3) == "3"


def test_a_folder_is_replaced_only_if_it_is_ours(pictures: Run, tmp_path: Path) -> None:
    folder = save_pretrained(pictures, tmp_path / "mine")
    before = contents(folder)
    (folder / "prior" / "old.safetensors").write_bytes(b"")
    assert contents(save_pretrained(pictures, folder)) == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    for taken in (tmp_path / "other", pictures.folder):
        with pytest.raises(UserError, match="holds something else"):
            save_pretrained(pictures, taken)


def test_a_repository_that_was_downloaded_is_opened_without_a_network(
    pictures: Run, tmp_path: Path
) -> None:
    kept = tmp_path / "cache" / "models--someone--blobs"
    save_pretrained(pictures, kept / "snapshots" / COMMIT)
    write_text(kept / "refs" / "main", COMMIT)
    run = from_pretrained("someone/blobs", cache_dir=tmp_path / "cache", local_files_only=True)
    assert torch.equal(run.sample(5, seed=2), pictures.sample(5, seed=2))
    with pytest.raises(UserError, match="no folder 'someone/else', and the Hub's library says"):
        fetch_pretrained("someone/else", cache_dir=tmp_path / "cache", local_files_only=True)
    with pytest.raises(UserError, match="no name of a repository"):
        fetch_pretrained("no/such/folder")


def test_what_is_pushed_is_the_folder(pictures: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class Commit:
        commit_url = "https://hub/commit"

    def upload(self: HfApi, *, folder_path: Path, **options: Any) -> Commit:
        asked.update(options, files=contents(folder_path))
        return Commit()

    monkeypatch.setattr(HfApi, "create_repo", lambda self, name, **how: asked.update(made=name))
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    assert push_to_hub(pictures, "someone/blobs", private=True) == "https://hub/commit"
    assert (asked["made"], asked["repo_id"]) == ("someone/blobs", "someone/blobs")
    assert b'from_pretrained("someone/blobs")' in asked["files"]["README.md"]

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("401 Unauthorized.\nLog in first.")

    monkeypatch.setattr(HfApi, "create_repo", refuse)
    with pytest.raises(UserError, match=r"not published: .* 401 Unauthorized. Log in first; check"):
        push_to_hub(pictures, "someone/blobs")


def test_an_estimator_goes_and_comes_back(pictures: Run, tmp_path: Path) -> None:
    model = glo.load(pictures.folder)
    folder = model.save_pretrained(tmp_path / "mine")
    back = glo.GLO.from_pretrained(folder)
    assert isinstance(back, glo.GLO)
    assert np.array_equal(back.sample(3, seed=1), model.sample(3, seed=1))


def test_the_command(pictures: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "mine")
    assert command(["export", str(pictures.folder), "--hub", out, "--license", "mit"]) == 0
    assert f"hf upload USER/NAME {out}" in capsys.readouterr().out
    assert "license: mit" in (tmp_path / "mine" / "README.md").read_text("utf-8")


def test_a_missing_library_is_one_sentence(
    pictures: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install .*\[hub\]"):
        save_pretrained(pictures, tmp_path / "mine")
    with pytest.raises(UserError, match=r"pip install .*\[hub\]"):
        from_pretrained("someone/blobs")
