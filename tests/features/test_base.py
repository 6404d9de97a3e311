"""What holds for every feature network, and how images are made to fit."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from glo.errors import UserError
from glo.features.base import Features, Thumbnails, embed, fit_images
from glo.features.digits import digit_features
from glo.features.torchscript import TorchScriptFeatures

MAKERS: dict[str, Callable[[], Features]] = {
    "digits": digit_features,
    "thumbnails": Thumbnails,
    "script": lambda: TorchScriptFeatures(
        nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.AdaptiveAvgPool2d(1)), name="mine"
    ),
}


@pytest.fixture(params=MAKERS, scope="module")
def features(request: pytest.FixtureRequest) -> Features:
    return MAKERS[request.param]()


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 32, 32), (1, 28, 28), (3, 48, 40)])
def test_any_image_gives_a_vector(features: Features, shape: tuple[int, ...]) -> None:
    images = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = features(images)
    assert found.shape == (3, features.dim)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert torch.isfinite(found).all()
    torch.testing.assert_close(features(images[1:2]), found[1:2])


def test_a_name_without_a_path(features: Features) -> None:
    assert features.name
    assert "/" not in features.name


def test_grey_and_the_same_in_colour_are_one(features: Features) -> None:
    grey = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(features(grey), features(grey.repeat(1, 3, 1, 1)))


def test_vectors_are_refused(features: Features) -> None:
    for bad in (torch.zeros(2, 5), torch.zeros(2, 2, 8, 8)):
        with pytest.raises(UserError, match="C 1 or 3"):
            features(bad)


def test_embed_is_the_same_in_any_batches(features: Features) -> None:
    images = torch.rand(7, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        embed(features, images.split(3)), embed(features, [images]), rtol=1e-4, atol=1e-4
    )
    assert embed(features, []).shape == (0, features.dim)


def test_images_that_fit_are_not_touched() -> None:
    images = torch.rand(2, 3, 8, 8)
    assert fit_images(images, 3, 8).data_ptr() == images.data_ptr()
    assert fit_images(images, 3, None).data_ptr() == images.data_ptr()


def test_colour_becomes_grey_by_luma_and_white_stays_white() -> None:
    colours = torch.eye(3)[:, :, None, None] * 2 - 1
    grey = fit_images(colours, 1, None).flatten()
    assert grey.tolist() == pytest.approx([2 * w - 1 for w in (0.299, 0.587, 0.114)], abs=1e-6)
    assert fit_images(torch.ones(1, 3, 4, 4), 1, 2).tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]


def test_shrinking_averages_and_does_not_skip_pixels() -> None:
    lines = -torch.ones(1, 1, 32, 32)
    lines[:, :, ::4] = 1.0
    # One row in four is white; between the second and the third nothing is.
    assert fit_images(lines, 1, 8)[:, :, 1:-1].flatten().tolist() == pytest.approx(
        [-0.5] * 48, abs=0.1
    )
