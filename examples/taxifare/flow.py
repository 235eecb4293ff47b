"""The monthly flow: how good is the model in Production, would a newer one be better, and then?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline import Flow, Parameter, lifecycle, registry, task
from taxifare import params
from taxifare.interface import drift
from taxifare.interface import main as interface
from taxifare.ml_logic.data import chunk_of, chunks, load, source
from taxifare.policy import ALARM

if TYPE_CHECKING:
    from loopline.lifecycle import Decision, DriftReport

__all__ = ["build_flow"]


@task(log_stdout=True)
def evaluate_production(month: str, name: str, data: str | None) -> float | None:
    """Score the model in Production on the month's trips, which are new to it."""
    chunk = chunk_of(month, data)
    print(f"{month} ({source(data).origin}): {load(chunk, data).report}")
    return interface.evaluate(chunk.first_row, name=name, data=data)


@task(log_stdout=True)
def watch_drift(month: str, name: str, data: str | None) -> DriftReport | None:
    """Compare the month, errors included, with what the model in Production learned from."""
    return drift.watch_drift(chunk_of(month, data).first_row, name=name, data=data)


@task(log_stdout=True)
def sound_alarm(past_perf: float | None, report: DriftReport | None, name: str) -> dict[str, Any]:
    """Tell whether the model went stale: its error rose, and the errors are others than before."""
    worse = drift.worse_by(past_perf, name=name)
    drifted = [] if report is None else [column.column for column in report.drifted]
    is_stale = False
    if worse is not None and worse > ALARM and "error" in drifted:
        is_stale = True
        percent = f"{100 * worse:.0f} %"
        print(f"The model is {percent} worse than when it was promoted, and its error drifted.")
    return {
        "drift": None if report is None else report.sentence,
        "drifted": drifted,
        "worse_by": worse,
        "alarm": is_stale,
    }


@task(log_stdout=True)
def train_challenger(month: str, model: str, name: str, data: str | None) -> int | None:
    """Train a new version on the two months before this one, or on what there is of them."""
    first_row = chunk_of(month, data).first_row
    before = [chunk for chunk in chunks(data) if chunk.first_row < first_row]
    if not before:
        print(f"{month}: nothing to train on yet")
        return None
    return interface.train_on(before[-params.MAX_CHUNKS :], model=model, name=name, data=data)


@task
def compare(month: str, version: int | None, name: str, data: str | None) -> Decision | None:
    """Score both on all of the month, and decide."""
    if version is None:
        return None
    return interface.compare(version, chunk_of(month, data).first_row, name=name, data=data)


@task
def promote_if_better(decision: Decision | None, name: str) -> bool:
    """Move the new version to Production if that was decided."""
    return decision is not None and lifecycle.promote(name, decision).is_promoted


@task(log_stdout=True)
def notify(
    month: str,
    past_perf: float | None,
    watched: dict[str, Any],
    decision: Decision | None,
    name: str,
    data: str | None,
) -> dict[str, Any]:
    """Tell people what happened; return the month's line of the story."""
    if decision is None:
        sentence = "nothing to train on yet"
        version = registry.get_production(name)
    else:
        sentence = decision.sentence
        version = registry.get_version(name, decision.challenger)
    label = f" ({source(data).origin})" if source(data).is_simulated else ""
    run_id = version.run_id if version else ""
    lifecycle.notify(f"{month}{label}: {sentence}", run_id=run_id)
    now = registry.get_production(name)
    report = load(chunk_of(month, data), data).report
    return {
        "month": month,
        "rows": report.kept,
        "cleaning": str(report),
        "production": past_perf,
        "challenger": decision.score if decision else None,
        "challenger_version": decision.challenger if decision else None,
        "decision": sentence,
        "promoted": decision is not None and decision.promote,
        "version": now.version if now else None,
        **watched,
    }


def build_flow() -> Flow:
    """Build the flow; a month's run is ``build_flow().run(month="2022-03")``."""
    with Flow("wagoncab taxifare") as flow:
        month = Parameter("month")
        model = Parameter("model", default=params.MODEL)
        name = Parameter("name", default=params.MODEL_NAME)
        data = Parameter("data", default=None)

        past_perf = evaluate_production(month, name, data)
        report = watch_drift(month, name, data, upstream_tasks=[past_perf])
        watched = sound_alarm(past_perf, report, name)
        version = train_challenger(month, model, name, data, upstream_tasks=[watched])
        decision = compare(month, version, name, data)
        moved = promote_if_better(decision, name)
        notify(month, past_perf, watched, decision, name, data, upstream_tasks=[moved])
    return flow
