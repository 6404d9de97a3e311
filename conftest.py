"""The run and the images in the examples of the methods of `glo.Run`."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def example_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Train on 40 images of 8 x 8 pixels."""
    import numpy as np

    import glo

    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    settings = glo.Settings(code_dim=2, width=4, epochs=1, prior="gaussian", device="cpu")
    folder = tmp_path_factory.mktemp("doctest") / "run"
    run = glo.train(images, settings=settings, run_dir=folder, verbose=0)
    return {"run": run, "images": images}


@pytest.fixture(autouse=True)
def _examples_of_methods(
    request: pytest.FixtureRequest, doctest_namespace: dict[str, object]
) -> Iterator[None]:
    """Name them in the examples of these methods only: the namespace is that of all examples."""
    names: dict[str, object] = {}
    if request.node.name.startswith(("glo.runs.run.Run", "glo.workflows.run.Run")):
        names = request.getfixturevalue("example_run")
    doctest_namespace |= names
    yield
    for name in names:
        del doctest_namespace[name]
