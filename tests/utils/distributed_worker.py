"""Worker of the tests of `glo.utils.distributed`, started by torchrun once.

python -m torch.distributed.run --nproc-per-node 2 -m tests.utils.distributed_worker DATA FOLDER
"""

import shutil
import sys
from pathlib import Path

import torch

import glo.utils.distributed
import glo.utils.safetensors_io
from glo.config.settings import Settings
from glo.data import SourceOptions, open_source
from glo.utils.distributed import ProcessGroup
from glo.workflows.train import TrainingRun, default_callbacks

__all__ = ["RECIPE", "drive"]

RECIPE = Settings(
    code_dim=3, epochs=4, batch_size=8, width=4, precision="float32", device="cpu", refine_passes=2
)


def drive(data: str, out: Path, settings: Settings, ranks: ProcessGroup, *, stop: int = 0) -> None:
    """Train a run to its end, or stop and save it at a step."""
    samples = open_source(data, SourceOptions())
    training = TrainingRun(
        out,
        samples,
        settings,
        source=data,
        preset="mnist",
        ranks=ranks,
        callbacks=default_callbacks(),
        stop=lambda: bool(stop) and training.state is not None and training.state.step >= stop,
    )
    try:
        training.fit()
    finally:
        training.close()


def main() -> None:
    """Make every run that the tests look at."""
    torch.set_num_threads(1)
    data, folder = sys.argv[1], Path(sys.argv[2])
    ranks = ProcessGroup.join()
    drive(data, folder / "two", RECIPE, ranks)
    # Stopped, and gone on with by as many.
    for stop in (7, 0):
        drive(data, folder / "again", RECIPE, ranks, stop=stop)
    # Stopped, for another number to go on with.
    drive(data, folder / "stopped", RECIPE, ranks, stop=7)
    # Told in pieces, to the main process alone.
    glo.utils.distributed._PIECE_ROWS = 3
    told = ranks.gather_to_main(ranks.row_range(8), 8)
    (folder / f"gathered-{ranks.rank}.txt").write_text(str(told.tolist()))
    # One process cannot write: all say so, and what was saved stays.
    if not ranks.is_main:

        def full(file: int) -> None:
            raise OSError(28, "No space left on device")

        glo.utils.safetensors_io.os.fsync = full
    try:
        shutil.copytree(folder / "stopped", folder / f"full-{ranks.rank}", dirs_exist_ok=True)
        ranks.all_gather_object(None)
        drive(data, folder / "full-0", RECIPE, ranks)
    except OSError as error:
        (folder / f"said-{ranks.rank}.txt").write_text(str(error))
    ranks.shutdown()


if __name__ == "__main__":
    main()
