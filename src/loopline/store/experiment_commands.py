"""Experiments in the store: making, renaming, tagging and searching them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from loopline.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from loopline.records.base import Lifecycle
from loopline.records.identity import Thing
from loopline.records.tracking import Experiment, ExperimentPage
from loopline.rules.experiment_filters import matches, ordered, parse_experiment_filter
from loopline.rules.names import check_experiment_name, check_experiment_tag_value, check_key
from loopline.store import experiments, schema
from loopline.store.callers import only_visible
from loopline.store.lifecycle import parse_lifecycle
from loopline.store.page_tokens import decode_place, encode_place, key_of, stamp_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = [
    "create_experiment",
    "remove_experiment_tag",
    "rename_experiment",
    "search_experiments",
    "set_experiment_tags",
]

MAX_RESULTS = 50_000

_experiment = schema.experiment
_tag = schema.experiment_tag
#: An experiment of a name. Unique index look-up.
BY_NAME = select(_experiment.c.id, _experiment.c.lifecycle)
#: Every tag of every experiment, for a search that looks at them one by one.
TAGS = select(_tag.c.experiment_id, _tag.c.key, _tag.c.value)


def create_experiment(
    store: Store, connection: Connection, call: ops.CreateExperiment
) -> Experiment:
    """Make a new experiment.

    Raises:
        AlreadyExistsError: The name is taken.
    """
    check_experiment_name(call.name)
    _check_free(connection, call.name)
    number = experiments.ensure(connection, call.name, store.clock())
    _set_tags(connection, number, call.tags)
    return _get(store, connection, str(number))


def rename_experiment(
    store: Store, connection: Connection, call: ops.RenameExperiment
) -> Experiment:
    """Give an experiment another name.

    Raises:
        AlreadyExistsError: Another experiment has it.
        InvalidInputError: The experiment is deleted.
    """
    check_experiment_name(call.name)
    row = experiments.find(connection, call.experiment_id)
    _check_active(row.lifecycle, call.experiment_id)
    if row.name != call.name:
        _check_free(connection, call.name)
        connection.execute(
            update(_experiment)
            .where(_experiment.c.id == row.id)
            .values(name=call.name, updated_ms=store.clock())
        )
    return _get(store, connection, call.experiment_id)


def set_experiment_tags(
    store: Store, connection: Connection, call: ops.SetExperimentTags
) -> Experiment:
    """Set tags of an experiment."""
    row = experiments.find(connection, call.experiment_id)
    _check_active(row.lifecycle, call.experiment_id)
    _set_tags(connection, row.id, call.tags)
    _touch(store, connection, row.id)
    return _get(store, connection, call.experiment_id)


def remove_experiment_tag(
    store: Store, connection: Connection, call: ops.RemoveExperimentTag
) -> Experiment:
    """Take a tag off an experiment.

    Raises:
        NotFoundError: It has no such tag.
    """
    row = experiments.find(connection, call.experiment_id)
    _check_active(row.lifecycle, call.experiment_id)
    gone = connection.execute(
        delete(_tag).where(_tag.c.experiment_id == row.id, _tag.c.key == call.key)
    )
    if not gone.rowcount:
        known = connection.execute(select(_tag.c.key).where(_tag.c.experiment_id == row.id))
        raise NotFoundError.among(
            "tag", call.key, known.scalars(), hint="List them with get_experiment(id).tags."
        )
    _touch(store, connection, row.id)
    return _get(store, connection, call.experiment_id)


def search_experiments(
    store: Store, connection: Connection, call: ops.SearchExperiments
) -> ExperimentPage:
    """Search experiments; two statements, then each is matched in memory."""
    if not 0 < call.max_results <= MAX_RESULTS:
        msg = (
            f"Invalid value {call.max_results} for parameter 'max_results' supplied: it must lie "
            f"between 1 and {MAX_RESULTS:,}. Ask for more by pages."
        )
        raise InvalidInputError(msg)
    node = parse_experiment_filter(call.filter)
    found = ordered(
        (one for one in _all(connection, call.lifecycle) if matches(node, one)), call.order_by
    )
    start = 0
    stamp = stamp_of(type(call).__name__, call.filter, call.order_by, call.lifecycle)
    if call.page_token:
        (last,) = decode_place(key_of(store, connection), call.page_token, stamp, 1)
        places = {one.experiment_id: index for index, one in enumerate(found)}
        if last not in places:  # Deleted or renamed meanwhile: where it stood is not known.
            msg = "The page token's experiment is gone. Search again from the first page."
            raise InvalidInputError(msg)
        start = places[last] + 1
    page = found[start : start + call.max_results]
    is_last = start + len(page) >= len(found)
    if is_last:
        return ExperimentPage(experiments=page)
    token = encode_place(key_of(store, connection), stamp, (page[-1].experiment_id,))
    return ExperimentPage(experiments=page, next_page_token=token)


def _all(connection: Connection, lifecycle: str) -> list[Experiment]:
    query = select(_experiment).where(*only_visible(connection, Thing.EXPERIMENT, _experiment.c.id))
    if (wanted := parse_lifecycle(lifecycle)) is not None:
        query = query.where(_experiment.c.lifecycle == wanted)
    tags: dict[int, dict[str, str]] = {}
    for number, key, value in connection.execute(TAGS):
        tags.setdefault(number, {})[key] = value
    return [
        Experiment(
            experiment_id=str(row.id),
            name=row.name,
            lifecycle=Lifecycle(row.lifecycle),
            created_ms=row.created_ms,
            updated_ms=row.updated_ms,
            tags=tags.get(row.id, {}),
        )
        for row in connection.execute(query)
    ]


def _get(store: Store, connection: Connection, experiment_id: str) -> Experiment:
    from loopline.records.operations import GetExperiment

    return experiments.get_experiment(store, connection, GetExperiment(experiment_id=experiment_id))


def _check_free(connection: Connection, name: str) -> None:
    row = connection.execute(BY_NAME.where(_experiment.c.name == name)).first()
    if row is None:
        return
    deleted = row.lifecycle == Lifecycle.DELETED
    step = (
        f"It is deleted: restore it with restore_experiment('{row.id}'), or take another name."
        if deleted
        else "Go on with it by set_experiment, or take another name."
    )
    msg = f"Experiment(name={name}) already exists, with id={row.id}. {step}"
    raise AlreadyExistsError(msg)


def _check_active(lifecycle: str, experiment_id: str) -> None:
    if lifecycle == Lifecycle.DELETED:
        msg = (
            f"The experiment {experiment_id} must be in the 'active' state. Current state is "
            f"deleted. Restore it with restore_experiment('{experiment_id}')."
        )
        raise InvalidInputError(msg)


def _set_tags(connection: Connection, number: int, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        check_key("tag", key)
        check_experiment_tag_value(key, value)
    for key in tags:
        connection.execute(delete(_tag).where(_tag.c.experiment_id == number, _tag.c.key == key))
    if tags:
        connection.execute(
            insert(_tag),
            [{"experiment_id": number, "key": key, "value": tags[key]} for key in tags],
        )


def _touch(store: Store, connection: Connection, number: int) -> None:
    connection.execute(
        update(_experiment).where(_experiment.c.id == number).values(updated_ms=store.clock())
    )
