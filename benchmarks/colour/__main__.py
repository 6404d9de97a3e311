"""Run the study; see `benchmarks/colour/study.py`."""

import sys
from pathlib import Path

# So that `python benchmarks/colour` works as well as `python -m benchmarks.colour`.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.colour.study import main

if __name__ == "__main__":
    main()
