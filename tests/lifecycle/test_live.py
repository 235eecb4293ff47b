"""A bad champion is taken back by rule, from what was served and what really happened."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.store.registry_story import NAME, register

from loopline.backend.recorder import close_recorders, get_recorder, set_tracking_uri
from loopline.errors import InvalidInputError
from loopline.lifecycle import Policy, Rollback, check_live, roll_back, set_policy
from loopline.records import operations as ops
from loopline.records.facts import RunStarted
from loopline.records.predictions import FOLDER, MODEL_TAG, experiment_of
from loopline.registry import get_production, history
from loopline.tracking.predictions import add_truth, record_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.records.registry import ModelVersion

POLICY = Policy(
    model=NAME, metric="mae", rollback=Rollback(at_most_worse=0.2, for_s=600, min_rows=50)
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[None]:
    set_tracking_uri(tmp_path / ".loopline")
    for version in (1, 2):
        register(get_recorder().backend)
        get_recorder().call(ops.TransitionStage(name=NAME, version=version, stage="Production"))
    yield
    close_recorders()
    set_tracking_uri(None)


def serve(version: int, error: float, *, since_s: float, until_s: float, rows: int = 200) -> None:
    """Record what a version predicted, off by ``error``, and what came true."""
    at = np.linspace(since_s, until_s, rows) * 1000
    ids = [f"{version}-{number}-{uuid.uuid4().hex[:6]}" for number in range(rows)]
    table = pa.table(
        {
            "id": ids,
            "time": pa.array(at.astype("int64"), pa.timestamp("ms", tz="UTC")),
            "version": [str(version)] * rows,
            "role": ["champion"] * rows,
            "prediction": 10.0 + error * np.where(np.arange(rows) % 2, 1, -1),
        }
    )
    run_id = uuid.uuid4().hex
    recorder = get_recorder()
    recorder.record(
        RunStarted(
            run_id=run_id, experiment=experiment_of(NAME), start_ms=int(at[0]),
            tags={MODEL_TAG: NAME},
        )
    )  # fmt: skip
    record_file(recorder, run_id, FOLDER, table, first_ms=int(at[0]), last_ms=int(at[-1]))
    add_truth(pd.DataFrame({"id": ids, "fare": np.full(rows, 10.0)}), NAME)


def champion() -> ModelVersion:
    found = get_production(NAME)
    assert found is not None
    return found


def test_a_champion_that_is_worse_for_long_enough_is_taken_back_with_the_reason() -> None:
    now = time.time()
    serve(1, 1.0, since_s=now - 5_000, until_s=now - 4_000)
    serve(2, 1.5, since_s=now + 1, until_s=now + 1_999)
    would = check_live(POLICY, until_s=now + 2_000, dry_run=True)
    assert would.sentence.startswith("would have rolled back from v2 to v1")
    assert champion().version == 2

    found = check_live(POLICY, until_s=now + 2_000)
    assert found.rolled_back_to == 1
    assert found.sentence == (
        "rolled back from v2 to v1: its live mae is 1.5, and the version before it had 1"
    )
    assert champion().version == 1
    assert any("its live mae is 1.5" in event.reason for event in history(NAME))
    again = check_live(POLICY, until_s=now + 2_000)
    assert again.sentence == "kept v1: there is none to go back to"


def test_a_champion_that_is_good_enough_stays() -> None:
    now = time.time()
    serve(1, 1.0, since_s=now - 5_000, until_s=now - 4_000)
    serve(2, 1.1, since_s=now + 1, until_s=now + 1_999)
    found = check_live(POLICY, until_s=now + 2_000)
    assert found.rolled_back_to is None
    assert found.sentence.startswith("kept v2: its live mae is 1.1")


def test_without_a_record_or_truth_nothing_is_moved() -> None:
    assert "Nothing was recorded" in check_live(POLICY).sentence
    now = time.time()
    serve(2, 9.0, since_s=now + 1, until_s=now + 1_999)
    found = check_live(POLICY, until_s=now + 2_000)
    assert found.sentence == "kept v2: nothing is known of v1 to hold it against"
    assert champion().version == 2


def test_who_took_it_back_first_is_not_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    serve(1, 1.0, since_s=now - 5_000, until_s=now - 4_000)
    serve(2, 5.0, since_s=now + 1, until_s=now + 1_999)
    monkeypatch.setattr("loopline.lifecycle.live.roll_back", _somebody_first)
    found = check_live(POLICY, until_s=now + 2_000)
    assert found.sentence.startswith("nothing was moved: v3")
    assert champion().version == 3


def _somebody_first(name: str, **given: object) -> ModelVersion:
    register(get_recorder().backend)
    get_recorder().call(ops.TransitionStage(name=name, version=3, stage="Production"))
    return roll_back(name, **given)  # type: ignore[arg-type]


def test_a_policy_without_a_rollback_is_said() -> None:
    with pytest.raises(InvalidInputError, match="has no rollback"):
        check_live(Policy(model=NAME))
    assert set_policy(POLICY).policy.rollback == POLICY.rollback
