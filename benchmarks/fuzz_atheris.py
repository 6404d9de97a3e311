"""Coverage-guided fuzzing of one reader, from valid files, with a time limit.

    pip install atheris
    python benchmarks/fuzz_atheris.py --reader image --seconds 600

Atheris has wheels for Linux on CPython 3.11 to 3.13. What it finds it writes beside the corpus, as
a file that `--read` reads once more. The targets are those of tests/fuzz.
"""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

# So that the targets of the tests are found, wherever this is started.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    """Fuzz the chosen reader, or read one file."""
    about = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    about.add_argument("--reader", default="image", help="a name; 'list' lists them")
    about.add_argument("--seconds", type=int, default=60)
    about.add_argument("--seed", type=int, default=1)
    about.add_argument("--corpus", type=Path, help="folder of previous inputs; unset: a new one")
    about.add_argument("--read", type=Path, help="read this file and stop")
    chosen = about.parse_args()
    atheris = _atheris()
    with atheris.instrument_imports(include=["glo", "PIL", "tomllib", "zipfile", "json"]):
        from tests.fuzz.targets import Readers
    readers = Readers(Path(tempfile.mkdtemp(prefix="fuzz-")))
    if chosen.reader not in readers.targets:
        raise SystemExit(f"Readers: {', '.join(readers.targets)}")
    warnings.simplefilter("ignore")
    if chosen.read is not None:
        print("taken" if readers.read(chosen.reader, chosen.read.read_bytes()) else "refused")
        return
    corpus = chosen.corpus or Path(tempfile.mkdtemp(prefix="corpus-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(readers.seeds[chosen.reader]):
        (corpus / f"whole-{number}").write_bytes(content)
    words = [
        sys.argv[0],
        f"-max_total_time={chosen.seconds}",
        f"-seed={chosen.seed}",
        # Ten seconds and two gigabytes for one file, as in hostile.py.
        "-timeout=10",
        "-rss_limit_mb=4096",
        f"-artifact_prefix={corpus}/found-",
        str(corpus),
    ]
    atheris.Setup(words, lambda content: readers.read(chosen.reader, content))
    atheris.Fuzz()


def _atheris() -> Any:
    try:
        import atheris
    except ImportError:
        raise SystemExit("Atheris is not installed; run pip install atheris.") from None
    return atheris


if __name__ == "__main__":
    main()
