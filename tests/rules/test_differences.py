"""What differs between two runs is told, and nothing else."""

from __future__ import annotations

import math
from typing import Any

from loopline.records.differences import Basis, Change
from loopline.records.environment import Cpu, Environment, GitState, Machine, PythonState
from loopline.records.tracking import (
    ColumnProfile,
    Dataset,
    MetricSummary,
    Run,
    RunInput,
    ValueCount,
)
from loopline.rules.differences import change_of_metric, compare


def summary(value: float) -> MetricSummary:
    return MetricSummary(value=value, timestamp_ms=1, min=value, max=value, mean=value, count=1)


def environment(commit: str = "aaa", packages: dict[str, str] | None = None) -> Environment:
    return Environment(
        command=["python", "train.py"],
        python=PythonState(
            version="3.11.7",
            implementation="CPython",
            executable="python",
            prefix="/usr",
            packages=packages or {"numpy": "2.0"},
        ),
        machine=Machine(host="a", system="s", kernel="k", architecture="x", cpu=Cpu()),
        git=GitState(root="/repo", commit=commit),
    )


def basis(run_id: str = "a" * 32, **facts: Any) -> Basis:  # noqa: ANN401
    known = {
        name: facts.pop(name) for name in ("metrics", "params", "duration_ms") if name in facts
    }
    run = Run(run_id=run_id, experiment_id="0", name="train", **known)
    return Basis(run=run, **{"environment": environment(), **facts})


def trips(digest: str, name: str = "trips", **facts: Any) -> RunInput:  # noqa: ANN401
    return RunInput(
        dataset=Dataset(name=name, digest=digest, **facts),
        context="training",
    )


def test_two_equal_runs_differ_in_nothing() -> None:
    one = basis(metrics={"rmse": summary(3.5), "nan": summary(math.nan)}, params={"depth": "3"})
    found = compare(one, one)
    assert found.is_empty
    assert found.duration is None


def test_a_metric_differs_absolutely_and_relatively() -> None:
    found = compare(
        basis(metrics={"rmse": summary(4.0), "system/cpu": summary(1.0)}),
        basis(metrics={"rmse": summary(3.0), "mae": summary(2.0)}),
    )
    mae, rmse = found.metrics
    assert (rmse.absolute, rmse.relative) == (-1.0, -0.25)
    assert (mae.before, mae.after, mae.absolute) == (None, 2.0, None)
    assert change_of_metric("gain", 0.0, 1.0).relative is None


def test_a_package_that_differs_is_named_with_both_versions() -> None:
    found = compare(
        basis(environment=environment(packages={"numpy": "1.26", "dask": "1"})),
        basis(environment=environment(packages={"numpy": "2.0"})),
    )
    assert found.environment == [
        Change(name="dask", before="1", after=None),
        Change(name="numpy", before="1.26", after="2.0"),
    ]


def test_sources_differ_line_by_line() -> None:
    found = compare(
        basis(sources={"train.py": "depth = 3\nfit()\n", "old.py": "x\n"}),
        basis(sources={"train.py": "depth = 4\nfit()\n"}, environment=environment("bbb")),
    )
    old, train = found.files
    assert "-depth = 3\n+depth = 4\n fit()\n" in train.diff
    assert "+++ /dev/null" in old.diff
    assert found.code == [Change(name="commit", before="aaa", after="bbb")]


def test_data_are_paired_by_purpose_and_their_profiles_compared() -> None:
    def fares(mean: float, *zones: str) -> dict[str, Any]:
        return {
            "columns": {"fare": "double", "zone": "string"},
            "profile": {
                "fare": ColumnProfile(type="double", mean=mean),
                "zone": ColumnProfile(
                    type="string", top=[ValueCount(value=zone, count=2) for zone in zones]
                ),
            },
        }

    same = trips("c" * 64, "test")
    found = compare(
        basis(inputs=[trips("a" * 64, rows=1000, **fares(12.5, "East", "West")), same]),
        basis(inputs=[same, trips("b" * 64, rows=1200, **fares(15.0, "East", "Park"))]),
    )
    (one,) = found.data
    assert Change(name="rows", before="1,000", after="1,200") in one.changes
    assert one.columns == {
        "fare": [Change(name="mean", before="12.5", after="15")],
        "zone": [Change(name="top values", before="West", after="Park")],
    }
