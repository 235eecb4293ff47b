"""A store that holds the taxi-fare story: what pages, routes and commands are tested on."""

from __future__ import annotations

import math
import struct
from hashlib import sha256
from typing import TYPE_CHECKING

from loopline.records import facts, flows
from loopline.records import operations as ops
from loopline.records.base import Lifecycle
from loopline.records.logged_models import (
    LoggedModel,
    LoggedModelPoint,
    LoggedModelStatus,
    ModelRole,
)
from loopline.records.tracking import Artifact, Dataset, RunStatus

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.backend.protocol import Backend

__all__ = [
    "EXPERIMENT",
    "FLOW",
    "HOSTILE",
    "MODEL",
    "NOW_MS",
    "PROJECT",
    "fill",
    "model_id",
    "run_id",
    "send",
]

NOW_MS = 1_675_245_600_000  # 2023-02-01 10:00 UTC
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

EXPERIMENT = "wagoncab taxifare"
PROJECT = "wagoncab project"
FLOW = "wagonwab taxifare workflow"
MODEL = "taxifare_model"
HOSTILE = "<script>alert('fare')</script>"

MONTHS = ("2022-03", "2022-08", "2022-12", "2023-01", "2023-02")
FARE_ERRORS = (3.74, 3.78, 3.81, 5.81, 4.46)


def run_id(number: int) -> str:
    """The id of the story's n-th run."""
    return f"{number:032x}"


def model_id(number: int) -> str:
    """The id of the story's n-th logged model."""
    return f"m-{number:032x}"


def send(backend: Backend, *some: facts.Fact, writer: str = "", start: int = 0) -> facts.Receipt:
    """Send facts as a writer of their own would."""
    name = writer or sha256(repr(some).encode()).hexdigest()[:32]
    return backend.send(
        facts.Batch(writer=name, start=start, end=start + len(some), facts=list(some))
    )


def points(run: str, key: str, values: list[float], *, start_ms: int) -> facts.MetricPoints:
    """Points of a metric, a second apart."""
    n = len(values)
    return facts.MetricPoints(
        run_id=run,
        key=key,
        steps=struct.pack(f"<{n}q", *range(n)),
        timestamps_ms=struct.pack(f"<{n}q", *(start_ms + 1000 * i for i in range(n))),
        values=struct.pack(f"<{n}d", *values),
    )


def fill(backend: Backend, folder: Path) -> list[str]:
    """Put the whole story into a store; answer the ids of its flow runs, oldest first."""
    flow_runs = _flow(backend)
    model = folder / "model.skops"
    model.write_bytes(b"a model" * 1000)
    report = folder / "report.html"
    report.write_text(HOSTILE)
    picture = folder / "fare error.svg"
    picture.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    blobs = {path.name: backend.put_blob(path) for path in (model, report, picture)}
    for number, (month, error) in enumerate(zip(MONTHS, FARE_ERRORS, strict=True), start=1):
        _training_run(backend, number, month, error, blobs, flow_runs[number - 1])
        backend.call(
            ops.RegisterVersion(
                name=MODEL,
                run_id=run_id(number),
                artifact_path="model",
                actor="vera",
                description=f"trained for {month}",
            )
        )
        if month in {"2022-03", "2023-02"}:
            backend.call(
                ops.TransitionStage(
                    name=MODEL,
                    version=number,
                    stage="Production",
                    actor="gate",
                    reason=f"fare error {error} on {month}, 23 % better, beyond a 95 % bootstrap",
                )
            )
    backend.call(ops.SetAlias(name=MODEL, alias="champion", version=5, actor="vera"))
    _unusual_runs(backend)
    _logged_models(backend, blobs["model.skops"])
    return flow_runs


def _training_run(
    backend: Backend,
    number: int,
    month: str,
    error: float,
    blobs: dict[str, tuple[str, int]],
    flow_run: str,
) -> None:
    start_ms = NOW_MS - (6 - number) * DAY_MS
    run = run_id(number)
    loss = [error + 6 * math.exp(-step / 12) for step in range(120)]
    send(
        backend,
        facts.RunStarted(
            run_id=run,
            experiment=EXPERIMENT,
            name=f"train on {month}",
            start_ms=start_ms,
            user="vera",
            tags={
                "mlflow.source.name": "flow.py",
                "mlflow.source.git.commit": "4f1d2c",
                "team": "fares",
            },
            flow_run_id=flow_run,
            task_slug="train_model-1",
        ),
        facts.ParamsLogged(
            run_id=run, params={"model": "sklearn", "row_count": "68211", "max_iter": "300"}
        ),
        points(run, "val_rmse", loss, start_ms=start_ms),
        points(run, "rmse", [error], start_ms=start_ms),
        points(run, "loss/train", [value * 0.9 for value in loss], start_ms=start_ms),
        *(
            facts.ArtifactLogged(
                run_id=run,
                path=path,
                sha256=blobs[name][0],
                size_bytes=blobs[name][1],
                at_ms=start_ms,
            )
            for path, name in (
                ("model/model.skops", "model.skops"),
                ("report.html", "report.html"),
                ("fare error.svg", "fare error.svg"),
            )
        ),
        facts.InputLogged(
            run_id=run,
            dataset=Dataset(
                name=f"green taxi {month}",
                digest=f"{number:064x}",
                rows=68_211,
                source=f"data/green_tripdata_{month}.parquet",
            ),
            context="training",
        ),
        facts.RunEnded(
            run_id=run, status=RunStatus.FINISHED, end_ms=start_ms + 84_000, duration_ms=84_000
        ),
    )


def _unusual_runs(backend: Backend) -> None:
    """A run that died, one that still runs, one with hostile names, one with odd numbers."""
    send(
        backend,
        facts.RunStarted(
            run_id=run_id(11),
            experiment=EXPERIMENT,
            name="killed in the night",
            start_ms=NOW_MS - HOUR_MS,
            user="vera",
        ),
        facts.ParamsLogged(run_id=run_id(11), params={"model": "keras"}),
        facts.ParamsLogged(run_id=run_id(11), params={"model": "sklearn"}),
        facts.RunEnded(
            run_id=run_id(11),
            status=RunStatus.FAILED,
            end_ms=NOW_MS - HOUR_MS + 5000,
            reason="process died (pid 4242 on cab-7)",
            adopted=True,
        ),
        facts.RunStarted(
            run_id=run_id(12),
            experiment=EXPERIMENT,
            name="still training",
            start_ms=NOW_MS - 90_000,
            user="vera",
            parent_run_id=run_id(5),
        ),
        points(run_id(12), "val_rmse", [9.0, 7.5, 6.1], start_ms=NOW_MS - 80_000),
        facts.RunStarted(
            run_id=run_id(13),
            experiment=HOSTILE,
            name=HOSTILE + "x" * 200,
            start_ms=NOW_MS - DAY_MS,
            user=HOSTILE,
            tags={"note": HOSTILE},
        ),
        facts.ParamsLogged(run_id=run_id(13), params={"a/b c": HOSTILE}),
        points(run_id(13), "nan", [math.nan, math.inf, -math.inf, 1.5], start_ms=NOW_MS),
        points(run_id(13), "inf", [math.inf], start_ms=NOW_MS),
        facts.RunEnded(run_id=run_id(13), status=RunStatus.KILLED, end_ms=NOW_MS - DAY_MS + 10),
    )


def _logged_models(backend: Backend, blob: tuple[str, int]) -> None:
    """Models of two runs, one that no run made with hostile words, and a deleted one."""
    (taxi,) = (one for one in backend.call(ops.ListExperiments()) if one.name == EXPERIMENT)
    told = (
        (1, "night fares", LoggedModelStatus.READY, run_id(1), ""),
        (2, "day fares", LoggedModelStatus.PENDING, run_id(12), ""),
        (3, "<img src=x onerror=alert(1)>", LoggedModelStatus.FAILED, "", HOSTILE),
        (4, "gone", LoggedModelStatus.READY, run_id(1), ""),
    )
    for number, name, status, run, message in told:
        its_id = model_id(number)
        errors = [("rmse", 3.74, "green taxi 2022-08"), ("rmse", 3.91, "green taxi 2022-12")]
        is_first = number == 1
        model = LoggedModel(
            model_id=its_id,
            experiment_id=taxi.experiment_id,
            name=name,
            model_type="regressor" if is_first else message,
            source_run_id=run,
            status=status,
            status_message=message,
            lifecycle=Lifecycle.DELETED if name == "gone" else Lifecycle.ACTIVE,
            created_ms=NOW_MS - number * HOUR_MS,
            updated_ms=NOW_MS - number * HOUR_MS,
            params={"max_iter": "300", "depth": "7"} if is_first else {"a/b c": HOSTILE},
            tags={"team": "fares"} if is_first else {"note": HOSTILE + "x" * 200},
            metrics=[
                LoggedModelPoint(
                    model_id=its_id,
                    key=key,
                    value=value if is_first else math.nan,
                    step=step,
                    timestamp_ms=NOW_MS,
                    run_id=run_id(1),
                    dataset_name=data,
                    dataset_digest=f"{number:08x}",
                )
                for step, (key, value, data) in enumerate(errors)
                if status != LoggedModelStatus.PENDING
            ],
        )
        files = [
            Artifact(path=path, sha256=blob[0], size_bytes=blob[1])
            for path in ("MLmodel", "model.skops", f"data/{'long' * 30} {number}.bin")
            if status != LoggedModelStatus.PENDING
        ]
        backend.call(ops.ImportLoggedModel(model=model, files=files))
    backend.call(ops.RegisterVersion(name="night_fares", logged_model_id=model_id(1), actor="vera"))
    for maker, number, role in (
        (1, 1, ModelRole.OUTPUT),
        (1, 4, ModelRole.OUTPUT),
        (12, 1, ModelRole.INPUT),
        (12, 2, ModelRole.OUTPUT),
    ):
        used = facts.LoggedModelUsed(
            run_id=run_id(maker), model_id=model_id(number), role=role, step=number
        )
        backend.call(ops.RecordFacts(facts=[used]))


GRAPH = flows.FlowGraph(
    tasks=[
        flows.GraphTask(slug="eval_perf-1", name="eval_perf"),
        flows.GraphTask(slug="train_model-1", name="train_model", retry_delays_s=[30.0]),
        flows.GraphTask(slug="notify-1", name="notify"),
    ],
    edges=[
        flows.GraphEdge(upstream="eval_perf-1", downstream="notify-1", key="past_perf"),
        flows.GraphEdge(upstream="train_model-1", downstream="notify-1", key="new_perf"),
    ],
    parameters=[flows.ParameterSpec(name="next_row", default=0)],
)


def _flow(backend: Backend) -> list[str]:
    backend.call(
        ops.RegisterFlow(
            project=PROJECT,
            name=FLOW,
            fingerprint="f" * 64,
            graph=GRAPH,
            schedule=flows.ScheduleSpec(clocks=[flows.IntervalClock(interval_s=18_000)]),
            code=flows.FlowCode(kind="pickle", python="3.11", folder="/home/vera/taxifare"),
        )
    )
    backend.call(
        ops.RegisterFlow(
            project=HOSTILE,
            name="a/b " + HOSTILE,
            fingerprint="e" * 64,
            graph=GRAPH,
            code=flows.FlowCode(kind="import", entry="flow:flow"),
        )
    )
    return [
        _flow_run(backend, number, fails=number in {3, 6}, runs=number == 8)
        for number in range(1, 9)
    ]


def _flow_run(backend: Backend, number: int, *, fails: bool, runs: bool) -> str:
    state = flows.StateKind
    at = NOW_MS - (9 - number) * 5 * HOUR_MS if not runs else NOW_MS - 60_000
    length = 60_000 + 9_000 * number
    asked = backend.call(
        ops.CreateFlowRun(
            project=PROJECT,
            name=FLOW,
            scheduled_ms=at,
            run_name=f"night-shift-{number}",
            parameters={"next_row": 68_211 * number},
        )
    )
    lease = backend.call(ops.ClaimFlowRun(worker="cab-7"))
    assert lease is not None
    assert lease.flow_run.flow_run_id == asked.flow_run_id
    flow_run, token = asked.flow_run_id, lease.token

    def flow(kind: flows.StateKind, at_ms: int, message: str = "") -> facts.FlowRunState:
        return facts.FlowRunState(
            flow_run_id=flow_run, state=kind, at_ms=at_ms, message=message, token=token
        )

    def task(slug: str, kind: flows.StateKind, at_ms: int, message: str = "") -> facts.TaskRunState:
        return facts.TaskRunState(
            flow_run_id=flow_run,
            task_slug=slug,
            state=kind,
            at_ms=at_ms,
            message=message,
            attempt=1,
            token=token,
        )

    story: list[facts.Fact] = [
        flow(state.RUNNING, at),
        task("eval_perf-1", state.RUNNING, at + 500),
        task("eval_perf-1", state.SUCCESS, at + 9_000),
        task("train_model-1", state.RUNNING, at + 600),
    ]
    if fails:
        story += [
            task(
                "train_model-1", state.FAILED, at + length, "ValueError: no rows in chunk 2022-12"
            ),
            task("notify-1", state.TRIGGER_FAILED, at + length, "train_model-1 failed"),
            flow(state.FAILED, at + length, "Some reference tasks failed: train_model-1"),
        ]
    elif not runs:
        story += [
            task("train_model-1", state.SUCCESS, at + length - 900),
            task("notify-1", state.RUNNING, at + length - 800),
            task("notify-1", state.SUCCESS, at + length - 100),
            flow(state.SUCCESS, at + length, "All reference tasks succeeded."),
        ]
    lines = [
        (10, "", "Claimed by cab-7"),
        (20, "train_model-1", "68,211 rows, 4,811 cleaned away"),
        (30, "train_model-1", "8 % of passenger_count imputed"),
        (20, "notify-1", "Past perf: 3.78, new perf: 3.74"),
        *(
            [(40, "train_model-1", "ValueError: no rows in chunk " + "2022-12 " * 30)]
            if fails
            else []
        ),
        (20, "notify-1", HOSTILE),
    ]
    send(
        backend,
        *story,
        facts.LogsWritten(
            lines=[
                flows.LogLine(
                    flow_run_id=flow_run,
                    task_slug=slug,
                    at_ms=at + 700 * i,
                    level=level,
                    message=text,
                )
                for i, (level, slug, text) in enumerate(lines)
            ]
        ),
    )
    return flow_run
