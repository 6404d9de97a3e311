"""The pictures of a run: which are drawn, and that drawing changes nothing."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.builders import samples, settings

from glo.decoders import DCGAN
from glo.imaging.previews import draw_outcome, draw_progress
from glo.priors import GaussianPrior


def decoder() -> DCGAN:
    torch.manual_seed(0)
    return DCGAN(code_dim=4, shape=(1, 8, 8), width=4)


def test_drawing_leaves_the_decoder_as_it_was(tmp_path: Path) -> None:
    network, codes = decoder().train(), torch.randn(20, 4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    path = draw_progress(tmp_path, "epoch-0001", network, codes, samples(), settings())
    assert path == tmp_path / "epoch-0001.png"
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("n", [1, 2, 3, 20, 70])
def test_all_pictures_for_any_number_of_examples(tmp_path: Path, n: int) -> None:
    codes = torch.randn(n, 4)
    priors = [GaussianPrior().fit(codes)] if n > 1 else []
    errors = torch.arange(n).float()
    paths = draw_outcome(tmp_path, decoder(), codes, samples(n), errors, priors, settings())
    names = ["reconstructions", "worst"]
    names += ["interpolations", "gaussian"] if n > 1 else []
    assert [path.stem for path in paths] == names
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size[0] > 64


def test_the_worst_are_drawn_first(tmp_path: Path) -> None:
    errors = torch.zeros(20)
    errors[13] = 1.0
    draw_outcome(tmp_path, decoder(), torch.randn(20, 4), samples(), errors, [], settings())
    zoom = 8
    with Image.open(tmp_path / "worst.png") as sheet:
        pixels = [sheet.getpixel((2 + zoom * k + 4, 6)) for k in range(8)]
    assert pixels == samples().rows[13, 0, :, 0].tolist()
