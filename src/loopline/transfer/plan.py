"""What an import sends of a run: the difference between the source's and the store's, as facts.

What the store has already is never changed, for it may have been edited here since; only with
``update`` does the source's value win. Two things are always followed: a run that goes on and
ends, and a deletion.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import InvalidInputError
from loopline.records.base import Lifecycle
from loopline.records.facts import (
    Fact,
    InputLogged,
    LoggedModelUsed,
    ParamsLogged,
    RunStarted,
    TagsSet,
)
from loopline.records.tracking import RunEvent, RunStatus
from loopline.records.transfer import RunDescription, RunSettlement
from loopline.rules.names import check_key, check_param_value, check_tag_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.records.logged_models import ModelRole
    from loopline.records.tracking import RunInput
    from loopline.transfer.source import SourceRun

__all__ = ["Texts", "facts_of", "fitting", "input_key", "problem_with_key", "settlement_of"]


class Texts(NamedTuple):
    """Params or tags of a run that a store can hold, and why it cannot hold the others."""

    fit: dict[str, str]
    problems: list[str]


def fitting(kind: str, texts: dict[str, str]) -> Texts:
    """Part params or tags into those that a store takes and those it would refuse."""
    check: Callable[[str, str], None] = check_param_value if kind == "param" else check_tag_value
    fit: dict[str, str] = {}
    problems: list[str] = []
    for key, value in texts.items():
        problem = problem_with_key(kind, key)
        if not problem:
            try:
                check(key, value)
            except InvalidInputError as error:
                problem = str(error)
        if problem:
            problems.append(problem)
        else:
            fit[key] = value
    return Texts(fit, problems)


@lru_cache(maxsize=10_000)
def problem_with_key(kind: str, key: str) -> str:
    """Say why a store refuses a key; empty when it takes it."""
    try:
        check_key(kind, key)
    except InvalidInputError as error:
        return str(error)
    return ""


def facts_of(
    run: SourceRun,
    known: RunDescription | None,
    experiment: str,
    *,
    update: bool,
) -> list[Fact]:
    """Tell what of a run is to be sent, points and files aside."""
    params = fitting("param", run.params).fit
    tags = fitting("tag", run.tags).fit
    inputs = {input_key(item): item for item in run.inputs}
    has_models: dict[tuple[ModelRole, str], int] = {}
    facts: list[Fact] = []
    if known is None:
        facts.append(
            RunStarted(
                run_id=run.run_id,
                experiment=experiment,
                name=run.name,
                start_ms=run.start_ms or 0,
                user=run.user,
                parent_run_id=run.parent_run_id,
                flow_run_id=run.flow_run_id,
                task_slug=run.task_slug,
                tags=tags,
            )
        )
    else:
        has = known.run.tags
        tags = {k: v for k, v in tags.items() if k not in has or (update and has[k] != v)}
        if tags:
            facts.append(TagsSet(run_id=run.run_id, tags=tags))
        params = {key: value for key, value in params.items() if key not in known.run.params}
        for item in known.inputs:
            inputs.pop(input_key(item), None)
        has_models = {(model.role, model.model_id): model.step for model in known.models}
    if params:
        facts.append(ParamsLogged(run_id=run.run_id, params=params))
    facts += [
        InputLogged(run_id=run.run_id, dataset=item.dataset, context=item.context, tags=item.tags)
        for item in inputs.values()
    ]
    facts += [
        LoggedModelUsed(
            run_id=run.run_id, model_id=model.model_id, role=model.role, step=model.step
        )
        for model in run.models
        if has_models.get((model.role, model.model_id)) != model.step
    ]
    return facts


def input_key(item: RunInput) -> tuple[str, str, str]:
    """Tell one data version read from another."""
    return item.dataset.name, item.dataset.digest, item.context


def settlement_of(
    run: SourceRun, known: RunDescription | None, writer: str, *, update: bool
) -> RunSettlement | None:
    """Tell how a run is to stand after its facts have come; None to leave it as it stands.

    Args:
        run: As the source has it.
        known: As the store had it before.
        writer: The import's writer: while it answers for the run, an import was cut short.
        update: The source's word counts for runs that both know, too.
    """
    if known is None or writer in known.writers:
        return RunSettlement(
            run_id=run.run_id,
            status=run.status,
            lifecycle=run.lifecycle,
            start_ms=run.start_ms or 0,
            end_ms=run.end_ms,
            duration_ms=run.duration_ms,
            end_reason=run.end_reason,
            events=run.events or _events_of(run),
        )
    has = known.run
    ended = not has.status.is_terminal and run.status != has.status
    moved = run.lifecycle != has.lifecycle and (update or run.lifecycle == Lifecycle.DELETED)
    differs = (run.status, run.end_ms) != (has.status, has.end_ms)
    if not ended and not moved and not (update and differs):
        return None
    if not ended and not update:
        return RunSettlement(
            run_id=run.run_id,
            status=has.status,
            lifecycle=run.lifecycle,
            end_ms=has.end_ms,
            duration_ms=has.duration_ms,
            end_reason=has.end_reason,
        )
    return RunSettlement(
        run_id=run.run_id,
        status=run.status,
        lifecycle=run.lifecycle if moved else has.lifecycle,
        start_ms=run.start_ms,
        end_ms=run.end_ms,
        duration_ms=run.duration_ms,
        end_reason=run.end_reason,
        events=run.events or _events_of(run),
    )


def _events_of(run: SourceRun) -> list[RunEvent]:
    """Tell the history that a run must have had, for a source that keeps none."""
    events = [RunEvent(at_ms=run.start_ms or 0, status=RunStatus.RUNNING, actor=run.user)]
    if run.status != RunStatus.RUNNING:
        at_ms = run.end_ms if run.end_ms is not None else run.start_ms or 0
        events.append(RunEvent(at_ms=at_ms, status=run.status))
    return events
