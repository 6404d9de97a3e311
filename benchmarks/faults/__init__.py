"""Fault injection for runs; see `__main__`."""

import os

# Before torch comes: children that are forked may not have lost threads behind them.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
