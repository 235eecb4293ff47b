"""Rows of the model registry: found with the error a person can act on, and made into records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Select, bindparam, insert, select

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.registry import ModelVersion, RegisteredModel, Stage, VersionStatus
from loopline.rules.names import check_stage
from loopline.store import schema
from loopline.store.text_objects import TextObject
from loopline.store.upserts import InsertOrIgnore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Row

__all__ = [
    "VERSIONS",
    "Document",
    "add_event",
    "alias_target",
    "ensure_stage",
    "find_stage",
    "insert_model",
    "model_record",
    "model_records",
    "model_row",
    "no_model",
    "version_record",
    "version_records",
    "version_row",
]

_model = schema.model
_version = schema.model_version
_champion = schema.champion
_alias = schema.alias
_stage = schema.stage
_tag = schema.model_version_tag

#: A model by its name. Look-up by primary key.
MODEL = select(_model).where(_model.c.name == bindparam("name"))
#: Versions with their tags, a look-up by primary key for each; callers add which ones.
VERSIONS = select(
    _version,
    select(TextObject(_tag.c.key, _tag.c.value))
    .where(_tag.c.name == _version.c.name, _tag.c.version == _version.c.version)
    .correlate(_version)
    .scalar_subquery()
    .label("tags"),
    select(_stage.c.seen_as)
    .where(_stage.c.name == _version.c.name, _stage.c.stage == _version.c.stage)
    .correlate(_version)
    .scalar_subquery()
    .label("seen_as"),
)
#: A version by its number. Look-up by primary key.
VERSION = VERSIONS.where(
    _version.c.name == bindparam("name"), _version.c.version == bindparam("version")
)
_FOUR = frozenset(each.value for each in Stage)
#: Rows whose aliases, tags or champions are read with one statement.
TOGETHER = 500


class Document(msgspec.Struct, omit_defaults=True):
    """What a version keeps and nothing searches."""

    metrics: dict[str, float | None] = {}
    params: dict[str, str] = {}


_DOCUMENT = msgspec.json.Decoder(Document)
_TAGS = msgspec.json.Decoder(dict[str, str])


def model_row(connection: Connection, name: str) -> Row[Any]:
    """Get a model's row.

    Raises:
        NotFoundError: No model has this name.
    """
    row = connection.execute(MODEL, {"name": name}).first()
    if row is None:
        raise no_model(connection, name)
    return row


def no_model(connection: Connection, name: str) -> NotFoundError:
    """Make the error for a model that is not there."""
    known = connection.execute(select(_model.c.name).limit(1000)).scalars()
    return NotFoundError.among(
        "registered model",
        name,
        known,
        hint="List them with `loopline models list`.",
        said=f"Registered Model with name={name} not found.",
    )


def version_row(connection: Connection, name: str, number: int) -> Row[Any]:
    """Get a version's row.

    Raises:
        NotFoundError: There is no such model, or it has no such version.
    """
    row = connection.execute(VERSION, {"name": name, "version": number}).first()
    if row is None:
        model_row(connection, name)
        msg = (
            f"Model Version (name={name}, version={number}) not found. "
            f"See the versions with `loopline models show {name}`."
        )
        raise NotFoundError(msg)
    return row


def alias_target(connection: Connection, name: str, alias: str) -> int:
    """Get the number of the version that an alias points at.

    Raises:
        NotFoundError: There is no such model, or it has no such alias.
    """
    rows = connection.execute(select(_alias).where(_alias.c.name == name)).all()
    targets = {row.alias: int(row.version) for row in rows}
    if alias not in targets:
        model_row(connection, name)
        raise NotFoundError.among(
            f"alias of {name}",
            alias,
            targets,
            hint=f"Set it with `loopline models alias {name} {alias} VERSION`.",
        )
    return targets[alias]


def insert_model(connection: Connection, name: str, **columns: Any) -> None:  # noqa: ANN401 - columns
    """Make a model's row, and the four stages that each model has."""
    connection.execute(insert(_model).values(name=name, **columns))
    connection.execute(
        insert(_stage),
        [
            {"name": name, "stage": each.value, "folded": each.value.lower(), "seen_as": each}
            for each in Stage
        ],
    )


def ensure_stage(connection: Connection, name: str, stage: str, seen_as: Stage) -> None:
    """Make a stage of a model's own, unless it has it."""
    folded = check_stage(stage).lower()
    connection.execute(
        InsertOrIgnore(_stage).values(name=name, stage=stage, folded=folded, seen_as=seen_as)
    )


def find_stage(connection: Connection, name: str, text: str) -> str:
    """Find a stage of a model by its name in any case.

    Raises:
        InvalidInputError: It has no such stage; the message lists those it has.
    """
    query = select(_stage.c.stage).where(_stage.c.name == name)
    found = connection.execute(query.where(_stage.c.folded == text.lower())).scalar_one_or_none()
    if found is not None:
        return str(found)
    own = set(connection.execute(query).scalars()) - {each.value for each in Stage}
    known = ", ".join([each.value for each in Stage] + sorted(own))
    msg = f"Invalid Model Version stage: {text[:80]}. Value must be one of {known}."
    raise InvalidInputError(msg)


def model_record(connection: Connection, name: str) -> RegisteredModel:
    """Get a model by its name.

    Raises:
        NotFoundError: No model has this name.
    """
    return model_records(connection, [model_row(connection, name)])[0]


def model_records(connection: Connection, rows: Sequence[Row[Any]]) -> list[RegisteredModel]:
    """Make records of models, in their order: four statements for every 500."""
    found: list[RegisteredModel] = []
    for some in _portions(rows):
        names = [row.name for row in some]
        champions = _gather(connection, _of_names(_champion, names), "stage", "version")
        aliases = _gather(connection, _of_names(_alias, names), "alias", "version")
        stages = _gather(connection, _of_names(_stage, names), "stage", "seen_as")
        tags = _gather(connection, _of_names(schema.model_tag, names), "key", "value")
        found += [
            RegisteredModel(
                name=row.name,
                description=row.description,
                created_ms=row.created_ms,
                updated_ms=row.updated_ms,
                latest_version=row.latest_version,
                champions=champions.get(row.name, {}),
                aliases=aliases.get(row.name, {}),
                stages={
                    stage: Stage(seen_as)
                    for stage, seen_as in stages.get(row.name, {}).items()
                    if stage not in _FOUR
                },
                tags=tags.get(row.name, {}),
            )
            for row in some
        ]
    return found


def version_record(connection: Connection, name: str, number: int) -> ModelVersion:
    """Get a version by its number.

    Raises:
        NotFoundError: There is no such model, or it has no such version.
    """
    return version_records(connection, [version_row(connection, name, number)])[0]


def version_records(connection: Connection, rows: Sequence[Row[Any]]) -> list[ModelVersion]:
    """Make records of rows of ``VERSIONS``, in their order: a statement for every 500."""
    found: list[ModelVersion] = []
    for some in _portions(rows):
        aliases: dict[tuple[str, int], list[str]] = {}
        for row in connection.execute(_of_names(_alias, list({row.name for row in some}))):
            aliases.setdefault((row.name, row.version), []).append(row.alias)
        found += [_version_record(row, aliases.get((row.name, row.version), [])) for row in some]
    return found


def _version_record(row: Row[Any], aliases: list[str]) -> ModelVersion:
    document = _DOCUMENT.decode(row.document)
    return ModelVersion(
        name=row.name,
        version=row.version,
        run_id=row.run_id,
        artifact_path=row.artifact_path,
        stage=row.stage,
        seen_as=Stage(row.seen_as),
        aliases=aliases,
        description=row.description,
        source=row.source,
        logged_model_id=row.logged_model_id,
        run_link=row.run_link,
        status=VersionStatus(row.status),
        status_message=row.status_message,
        digest=row.digest,
        size_bytes=row.size_bytes,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        actor=row.actor,
        tags=dict(sorted(_TAGS.decode(row.tags).items())) if row.tags else {},
        metrics={
            key: float("nan") if value is None else value for key, value in document.metrics.items()
        },
        params=document.params,
    )


def _of_names(table: Any, names: list[str]) -> Select[Any]:  # noqa: ANN401 - a table
    """Select what models have in a table, in the order of its primary key."""
    return select(table).where(table.c.name.in_(names)).order_by(*table.primary_key)


def _gather(
    connection: Connection, query: Select[Any], key: str, value: str
) -> dict[str, dict[str, Any]]:
    """Read pairs of each model."""
    found: dict[str, dict[str, Any]] = {}
    for row in connection.execute(query):
        pair = row._mapping  # noqa: SLF001 - its public name
        found.setdefault(row.name, {})[pair[key]] = pair[value]
    return found


def _portions(rows: Sequence[Row[Any]]) -> Iterator[Sequence[Row[Any]]]:
    for start in range(0, len(rows), TOGETHER):
        yield rows[start : start + TOGETHER]


def add_event(  # noqa: PLR0913 - the columns of an event
    connection: Connection,
    name: str,
    version: int,
    at_ms: int,
    kind: str,
    *,
    before: str = "",
    after: str = "",
    actor: str = "",
    reason: str = "",
) -> None:
    """Write down a change in the history; version 0 is the whole model."""
    connection.execute(
        insert(schema.version_event).values(
            name=name,
            version=version,
            at_ms=at_ms,
            kind=kind,
            before=before,
            after=after,
            actor=actor,
            reason=reason,
        )
    )
