"""Why a version is where it is, in words."""

from __future__ import annotations

from loopline.records.predictions import Predictions
from loopline.records.reasons import Reasons
from loopline.records.registry import ModelVersion, VersionEvent
from loopline.records.tracking import RunStatus
from loopline.rules.reason_facts import facts_of, reason_sentence

FIRST_MS, LAST_MS = 1_700_000_000_000, 1_700_000_065_000
MOVE = VersionEvent(
    name="fares",
    version=2,
    at_ms=FIRST_MS,
    kind="stage",
    after="Production",
    actor="ada",
    reason="better",
)


def version(stage: str = "Production") -> ModelVersion:
    return ModelVersion(
        name="fares", version=2, run_id="", artifact_path="", stage=stage, digest="", created_ms=1,
        updated_ms=1,
    )  # fmt: skip


def test_a_sentence_tells_since_when_for_whom_and_who_said_so() -> None:
    found = Reasons(version=version(), decision=MOVE, decided_by="ada", before=1)
    assert reason_sentence(found) == (
        "v2 is in Production since 2023-11-14 22:13:20 UTC, in the place of v1. "
        "Decided by ada: better."
    )
    never = Reasons(version=version("None"))
    assert reason_sentence(never) == "v2 was registered, and nobody has moved it."


def test_a_deployment_that_runs_may_have_left_the_version_long_ago() -> None:
    made = [
        Predictions(
            run_id=f"{number}" * 32, name="fares", version=2, status=status, rows=rows,
            first_ms=FIRST_MS, last_ms=LAST_MS,
        )
        for number, status, rows in ((1, RunStatus.RUNNING, 1), (2, RunStatus.FAILED, 2500))
    ]  # fmt: skip
    told = dict(facts_of(Reasons(version=version(), predictions=made)))["Predicted"]
    times = "from 2023-11-14 22:13:20 UTC until 2023-11-14 22:14:25 UTC"
    assert told.split("\n") == [
        f"1 row {times}, by deployment 11111111 (running)",
        f"2,500 rows {times}, by deployment 22222222",
    ]
