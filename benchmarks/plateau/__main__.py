"""Run the study; see `benchmarks/plateau/study.py`."""

import sys
from pathlib import Path

# So that `python benchmarks/plateau` works as well as `python -m benchmarks.plateau`.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.plateau.study import main

if __name__ == "__main__":
    main()
