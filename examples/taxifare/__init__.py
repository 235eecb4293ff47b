"""Taxi fares: predict what a ride will cost, month after month, with Loopline."""

from __future__ import annotations

import os

# Before scikit-learn is loaded: threads of OpenMP that wait shall sleep. By default they spin,
# which on a busy machine costs more than the work itself.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
