"""What a table of runs shows: what most of them have, and what users logged before all else."""

from __future__ import annotations

from loopline.rules.shown import frequent_keys

SYSTEM = [f"system/disk_{number}" for number in range(9)]


def test_the_keys_that_most_runs_have_are_shown_in_alphabetical_order() -> None:
    runs = [["rmse", "mae"], ["rmse", "loss"], ["rmse", "loss"], ["accuracy"]]
    assert frequent_keys(runs, 2) == ["loss", "rmse"]
    assert frequent_keys(runs, 3) == ["accuracy", "loss", "rmse"]
    assert frequent_keys([], 3) == []


def test_system_metrics_are_shown_where_runs_have_no_others() -> None:
    assert frequent_keys([[*SYSTEM, "rmse"], SYSTEM, SYSTEM], 3) == ["rmse"]
    assert frequent_keys([SYSTEM, SYSTEM], 3) == SYSTEM[:3]
