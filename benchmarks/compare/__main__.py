"""Run the study; see `benchmarks/compare/study.py`."""

import sys
from pathlib import Path

# So that `python benchmarks/compare` works as well as `python -m benchmarks.compare`.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.compare.study import main

if __name__ == "__main__":
    main()
