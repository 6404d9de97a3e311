"""TorchScript networks by path, and files that are refused because they may hold pickles."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glo.errors import UserError
from glo.features.torchscript import TorchScriptFeatures, load_torchscript


class Means(nn.Module):
    """The mean of each channel: what comes out tells what went in."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


def _save(network: nn.Module, path: Path, *shape: int) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(network.eval(), torch.rand(2, *shape)), path)
    return path


def test_a_file_gives_its_network_and_its_name(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1))
    features = load_torchscript(_save(network, tmp_path / "mine.pt", 3, 16, 16))
    images = torch.rand(4, 3, 20, 20) * 2 - 1
    assert (features.name, features.dim) == ("mine", 5)
    torch.testing.assert_close(features(images), network.eval()(images).flatten(1).detach())


def test_range_size_and_channels_are_what_the_network_takes(tmp_path: Path) -> None:
    path = _save(Means(), tmp_path / "means.pt", 3, 16, 16)
    bytes_ = load_torchscript(path, low=0.0, high=255.0)
    ends = torch.tensor([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1).expand(3, 1, 8, 8)
    torch.testing.assert_close(bytes_(ends)[:, 0], torch.tensor([0.0, 127.5, 255.0]))
    flat = TorchScriptFeatures(nn.Flatten(), name="flat", channels=1, side=4)
    assert flat.dim == 16
    assert flat(torch.zeros(2, 3, 32, 32)).shape == (2, 16)


def test_a_network_is_in_evaluation_mode() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Dropout(0.9))
    features = TorchScriptFeatures(network, name="dropout")
    images = torch.rand(8, 3, 8, 8)
    assert torch.equal(features(images), features(images))


@pytest.mark.parametrize(
    ("network", "word"),
    [
        (nn.Conv2d(3, 5, 3), r"\(2, 5, 62, 62\)"),
        (nn.Conv2d(1, 5, 3), "failed on images"),
        (nn.Linear(7, 5), "failed on images"),
    ],
)
def test_networks_that_give_no_vector_are_refused(network: nn.Module, word: str) -> None:
    with pytest.raises(UserError, match=word):
        TorchScriptFeatures(network, name="mine")


def test_several_outputs_are_refused() -> None:
    class Two(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return images.mean((2, 3)), images

    with pytest.raises(UserError, match="into tuple"):
        TorchScriptFeatures(Two(), name="two")


def test_pickles_and_other_files_are_refused(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    for name, keywords in (("new.pt", {}), ("old.pth", {"_use_new_zipfile_serialization": False})):
        torch.save(network, tmp_path / name, **keywords)
        with pytest.raises(UserError, match="not a TorchScript file"):
            load_torchscript(tmp_path / name)
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(UserError, match="not a TorchScript file"):
        load_torchscript(tmp_path / "text.pt")


def test_an_exported_program_is_refused(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "program.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("program/models/model.json", "{}")
        archive.writestr("program/data/sample_inputs/model.pt", b"")
    with pytest.raises(UserError, match="exported programs"):
        load_torchscript(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    import zipfile

    whole = _save(Means(), tmp_path / "whole.pt", 3, 8, 8)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(tmp_path / "bad.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"junk" if name.endswith("data.pkl") else old.read(name))
    with pytest.raises(UserError, match="is damaged"):
        load_torchscript(tmp_path / "bad.pt")
