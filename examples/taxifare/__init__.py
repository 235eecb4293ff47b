"""Taxi fares: predict what a ride will cost, month after month, with Loopline."""

from __future__ import annotations

import os

# Before scikit-learn is loaded: two months train in about a second on one thread, and OpenMP's
# threads wait for each other so often that on a busy machine more of them take longer.
os.environ.setdefault("OMP_NUM_THREADS", "1")
