"""Tables of the store, one schema for every database.

Base tables carry the prefix ``ll_`` so that views may have MLflow's plain names. Facts about a
run (params, tags, metric summaries) repeat its experiment and lifecycle, so that a search on
any key is a scan of one index whose cost grows with the matches, not with the store.
Times are Unix milliseconds. Documents that are never searched are JSON text.

Longer than 500 lines because it is one schema, whose tables are read beside each other.
"""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    false,
    text,
    true,
)

__all__ = ["PAGES", "VERSION", "metadata"]

#: The migration that leads to these tables; a new store is made without the ones before it.
VERSION = "0001"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

#: Text is compared and sorted byte by byte, on every database and in every country.
Text = sqlalchemy.Text().with_variant(sqlalchemy.Text(collation="C"), "postgresql")
#: SQLite numbers rows by itself only in a column declared INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")
Empty = text("''")
Zero = text("0")

#: Random keys that a store has from its beginning, and that all its servers share.
store_key = Table(
    "ll_store_key",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
#: The one that signs tokens of pages.
PAGES = "pages"

experiment = Table(
    "ll_experiment",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
    Column("lifecycle", Text, nullable=False, server_default=text("'active'")),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    # An id names the same experiment for ever, so the next one must never reuse it.
    sqlite_autoincrement=True,
)

experiment_tag = Table(
    "ll_experiment_tag",
    metadata,
    Column("experiment_id", ForeignKey("ll_experiment.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("experiment_id", "key"),
)

run = Table(
    "ll_run",
    metadata,
    Column("pk", Id, primary_key=True, autoincrement=True),
    Column("run_id", Text, nullable=False, unique=True),
    Column("experiment_id", ForeignKey("ll_experiment.id"), nullable=False),
    Column("name", Text, nullable=False, server_default=Empty),
    Column("status", Text, nullable=False),
    Column("lifecycle", Text, nullable=False, server_default=text("'active'")),
    Column("start_ms", BigInteger, nullable=False, server_default=Zero),
    Column("end_ms", BigInteger),
    Column("duration_ms", BigInteger),
    Column("user", Text, nullable=False, server_default=Empty),
    Column("end_reason", Text, nullable=False, server_default=Empty),
    # "owner" once the run's own end arrived: what anybody else says of it then is too late.
    Column("ended_by", Text, nullable=False, server_default=Empty),
    Column("parent_run_id", Text, index=True),
    Column("flow_run_id", Text, index=True),
    Column("task_slug", Text),
    # Facts may come before the run's start; until then the row is a stub.
    Column("is_stub", Boolean, nullable=False, server_default=false()),
)
Index(
    "ix_ll_run_newest",
    run.c.experiment_id,
    run.c.lifecycle,
    run.c.start_ms.desc(),
    run.c.run_id,
)
Index("ix_ll_run_newest_anywhere", run.c.lifecycle, run.c.start_ms.desc(), run.c.run_id)
Index("ix_ll_run_status", run.c.status)

run_event = Table(
    "ll_run_event",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("run_pk", ForeignKey("ll_run.pk"), nullable=False, index=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=Empty),
    Column("actor", Text, nullable=False, server_default=Empty),
)


def _clustered(name: str) -> Table:
    """Make a table of text facts of runs, clustered for search."""
    table = Table(
        name,
        metadata,
        Column("run_pk", ForeignKey("ll_run.pk"), nullable=False),
        Column("key", Text, nullable=False),
        # As much of the text as an index can hold, and what comes after it: `long_texts`.
        Column("value", Text, nullable=False),
        Column("rest", Text, nullable=False, server_default=Empty),
        Column("experiment_id", BigInteger, nullable=False),
        Column("lifecycle", Text, nullable=False),
        PrimaryKeyConstraint("run_pk", "key"),
        sqlite_with_rowid=False,
    )
    Index(
        f"ix_{name}_search",
        table.c.experiment_id,
        table.c.lifecycle,
        table.c.key,
        table.c.value,
        table.c.run_pk,
    )
    return table


param = _clustered("ll_param")
tag = _clustered("ll_tag")

metric = Table(
    "ll_metric",
    metadata,
    Column("run_pk", ForeignKey("ll_run.pk"), nullable=False),
    Column("key", Text, nullable=False),
    # SQLite turns NaN into NULL, so NaN is NULL with is_nan set, on every database.
    Column("value", Double),
    Column("is_nan", Boolean, nullable=False, server_default=false()),
    Column("step", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("min", Double),
    Column("max", Double),
    Column("sum", Double),
    Column("finite", BigInteger, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("first_step", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("experiment_id", BigInteger, nullable=False),
    Column("lifecycle", Text, nullable=False),
    PrimaryKeyConstraint("run_pk", "key"),
    sqlite_with_rowid=False,
)
Index(
    "ix_ll_metric_search",
    metric.c.experiment_id,
    metric.c.lifecycle,
    metric.c.key,
    metric.c.is_nan,
    metric.c.value,
    metric.c.run_pk,
)

#: Params, tags and metric summaries of a run together, so that a page of runs is one read.
run_document = Table(
    "ll_run_document",
    metadata,
    Column("run_pk", ForeignKey("ll_run.pk"), primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

metric_block = Table(
    "ll_metric_block",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("run_pk", ForeignKey("ll_run.pk"), nullable=False),
    Column("key", Text, nullable=False),
    Column("count", Integer, nullable=False),
    # The first and last point in order, packed: blocks that do not overlap hold no point twice.
    Column("first", LargeBinary, nullable=False),
    Column("last", LargeBinary, nullable=False),
    # The points of a chart, few enough that ten million points are drawn from a few hundred
    # blocks' previews; NULL while the block is small itself.
    Column("preview", LargeBinary),
    # Last, for SQLite reads a row up to the column that is asked for.
    Column("data", LargeBinary, nullable=False),
)
Index("ix_ll_metric_block_of", metric_block.c.run_pk, metric_block.c.key, metric_block.c.id)

#: Points that are acknowledged and wait to be put into the tables above: `inbox`.
inbox = Table(
    "ll_inbox",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("data", LargeBinary, nullable=False),
)
#: Batches of journals that are acknowledged and wait to be ingested: `hand_in`.
handed_in = Table(
    "ll_handed_in",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("writer", Text, nullable=False),
    Column("acknowledged", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

artifact = Table(
    "ll_artifact",
    metadata,
    Column("run_pk", ForeignKey("ll_run.pk"), nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", Text, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_pk", "path"),
    sqlite_with_rowid=False,
)

dataset = Table(
    "ll_dataset",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False, index=True),
    # The feed that they are rows of, as their source says; empty: none.
    Column("feed", Text, nullable=False, server_default=Empty, index=True),
    Column("document", Text, nullable=False),
    UniqueConstraint("name", "digest"),
)

run_input = Table(
    "ll_run_input",
    metadata,
    Column("run_pk", ForeignKey("ll_run.pk"), nullable=False),
    Column("dataset_id", ForeignKey("ll_dataset.id"), nullable=False, index=True),
    Column("context", Text, nullable=False, server_default=Empty),
    # JSON: what else was said of the reading.
    Column("tags", Text, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("run_pk", "dataset_id", "context"),
)

#: A model as MLflow 3's clients log it: an entity of an experiment, with files of its own.
logged_model = Table(
    "ll_logged_model",
    metadata,
    Column("pk", Id, primary_key=True, autoincrement=True),
    Column("model_id", Text, nullable=False, unique=True),
    Column("experiment_id", ForeignKey("ll_experiment.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("model_type", Text, nullable=False, server_default=Empty),
    # The run that made it, which need not be here.
    Column("source_run_id", Text, nullable=False, server_default=Empty, index=True),
    Column("status", Text, nullable=False),
    Column("status_message", Text, nullable=False, server_default=Empty),
    Column("lifecycle", Text, nullable=False, server_default=text("'active'")),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)
Index(
    "ix_ll_logged_model_newest",
    logged_model.c.experiment_id,
    logged_model.c.lifecycle,
    logged_model.c.created_ms.desc(),
    logged_model.c.model_id,
)


def _of_logged_model() -> ForeignKey:
    """Let a row be deleted with its logged model."""
    return ForeignKey("ll_logged_model.pk", ondelete="CASCADE")


def _texts_of_logged_model(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("model_pk", _of_logged_model(), nullable=False),
        Column("key", Text, nullable=False),
        Column("value", Text, nullable=False),
        PrimaryKeyConstraint("model_pk", "key"),
        sqlite_with_rowid=False,
    )


logged_model_param = _texts_of_logged_model("ll_logged_model_param")
logged_model_tag = _texts_of_logged_model("ll_logged_model_tag")

#: Points that runs measured on a logged model, on a data version or (empty) on none in particular.
logged_model_metric = Table(
    "ll_logged_model_metric",
    metadata,
    Column("model_pk", _of_logged_model(), nullable=False),
    Column("key", Text, nullable=False),
    Column("dataset_name", Text, nullable=False, server_default=Empty),
    Column("dataset_digest", Text, nullable=False, server_default=Empty),
    Column("run_id", Text, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    # NULL is NaN, which SQLite cannot keep.
    Column("value", Double),
    PrimaryKeyConstraint(
        "model_pk", "key", "dataset_name", "dataset_digest", "run_id", "step", "timestamp_ms"
    ),
    sqlite_with_rowid=False,
)

logged_model_file = Table(
    "ll_logged_model_file",
    metadata,
    Column("model_pk", _of_logged_model(), nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", Text, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("model_pk", "path"),
    sqlite_with_rowid=False,
)

#: Logged models that a run read or made, by id: they may be of another server.
run_model = Table(
    "ll_run_model",
    metadata,
    Column("run_pk", ForeignKey("ll_run.pk"), nullable=False),
    Column("role", Text, nullable=False),
    Column("model_id", Text, nullable=False, index=True),
    Column("step", BigInteger, nullable=False, server_default=Zero),
    PrimaryKeyConstraint("run_pk", "role", "model_id"),
)

refused = Table(
    "ll_refused",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("run_id", Text, nullable=False, index=True),
    Column("writer", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("fact", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

writer = Table(
    "ll_writer",
    metadata,
    Column("writer", Text, primary_key=True),
    Column("acknowledged", BigInteger, nullable=False, server_default=Zero),
    Column("host", Text, nullable=False, server_default=Empty),
    Column("pid", BigInteger, nullable=False, server_default=Zero),
    Column("first_seen_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False),
    Column("is_gone", Boolean, nullable=False, server_default=false()),
)

#: Which writers wrote to a run: it is lost only when all of them are.
writer_run = Table(
    "ll_writer_run",
    metadata,
    Column("run_pk", ForeignKey("ll_run.pk"), nullable=False),
    Column("writer", Text, nullable=False, index=True),
    PrimaryKeyConstraint("run_pk", "writer"),
)

command = Table(
    "ll_command",
    metadata,
    Column("key", Text, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
)


def _of_model() -> ForeignKey:
    """Let a row be renamed and deleted with its model."""
    return ForeignKey("ll_model.name", onupdate="CASCADE", ondelete="CASCADE")


def _of_version() -> ForeignKeyConstraint:
    """Let a row be renamed and deleted with its version, and exist with it alone."""
    return ForeignKeyConstraint(
        ("name", "version"),
        ("ll_model_version.name", "ll_model_version.version"),
        onupdate="CASCADE",
        ondelete="CASCADE",
    )


model = Table(
    "ll_model",
    metadata,
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False, server_default=Empty),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    # Kept apart from the versions, so that a number is never used twice.
    Column("latest_version", Integer, nullable=False, server_default=Zero),
)

model_tag = Table(
    "ll_model_tag",
    metadata,
    Column("name", _of_model(), nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("name", "key"),
)

#: Stages that versions of a model may stand in: the four that each model has, and its own.
stage = Table(
    "ll_stage",
    metadata,
    Column("name", _of_model(), nullable=False),
    Column("stage", Text, nullable=False),
    # In lower case: no two of a model differ in case alone.
    Column("folded", Text, nullable=False),
    # What MLflow's clients, who know the four, are told of a version that stands in it.
    Column("seen_as", Text, nullable=False),
    PrimaryKeyConstraint("name", "stage"),
    UniqueConstraint("name", "folded"),
    CheckConstraint("seen_as IN ('None', 'Staging', 'Production', 'Archived')", name="seen_as"),
)

model_version = Table(
    "ll_model_version",
    metadata,
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("run_id", Text, nullable=False, index=True),
    Column("artifact_path", Text, nullable=False),
    # Where its files are in the words of who registered it; empty: in that folder of the run.
    Column("source", Text, nullable=False, server_default=Empty),
    Column("run_link", Text, nullable=False, server_default=Empty),
    # The logged model it was made from; empty: none.
    Column("logged_model_id", Text, nullable=False, server_default=Empty, index=True),
    Column("stage", Text, nullable=False, server_default=text("'None'")),
    Column("status", Text, nullable=False, server_default=text("'READY'")),
    Column("status_message", Text, nullable=False, server_default=Empty),
    Column("description", Text, nullable=False, server_default=Empty),
    Column("digest", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False, server_default=Empty),
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("name", "version"),
    # What a champion points at: the version where it stands.
    UniqueConstraint("name", "version", "stage"),
    # It stands in a stage that its model has; with that it is renamed. Nobody takes away a
    # stage, nor a model, before its versions.
    ForeignKeyConstraint(
        ("name", "stage"), ("ll_stage.name", "ll_stage.stage"), onupdate="CASCADE"
    ),
    CheckConstraint("version > 0", name="version"),
)
Index(
    "ix_ll_model_version_stage",
    model_version.c.name,
    model_version.c.stage,
    model_version.c.version,
)
Index(
    "ix_ll_model_version_newest",
    model_version.c.updated_ms.desc(),
    model_version.c.name,
    model_version.c.version.desc(),
)

model_version_tag = Table(
    "ll_model_version_tag",
    metadata,
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("name", "version", "key"),
    _of_version(),
)

model_version_file = Table(
    "ll_model_version_file",
    metadata,
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", Text, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("name", "version", "path"),
    _of_version(),
)

#: The version that ``models:/name/Stage`` means: one a stage, by the primary key, and one that
#: stands there, by the foreign one.
champion = Table(
    "ll_champion",
    metadata,
    Column("name", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("name", "stage"),
    ForeignKeyConstraint(
        ("name", "version", "stage"),
        ("ll_model_version.name", "ll_model_version.version", "ll_model_version.stage"),
        onupdate="CASCADE",
        ondelete="CASCADE",
    ),
)

alias = Table(
    "ll_alias",
    metadata,
    Column("name", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("name", "alias"),
    _of_version(),
)

#: Outlives its version and its model, as history does; version 0 is the whole model.
version_event = Table(
    "ll_version_event",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("before", Text, nullable=False, server_default=Empty),
    Column("after", Text, nullable=False, server_default=Empty),
    Column("actor", Text, nullable=False, server_default=Empty),
    Column("reason", Text, nullable=False, server_default=Empty),
)

#: Where flows are listed; registering into one that is not there makes it.
project = Table(
    "ll_project",
    metadata,
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False, server_default=Empty),
    Column("created_ms", BigInteger, nullable=False),
)

flow = Table(
    "ll_flow",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("latest_version", Integer, nullable=False, server_default=Zero),
    Column("schedule_active", Boolean, nullable=False, server_default=true()),
    # Due times up to here have been made into flow runs.
    Column("materialised_ms", BigInteger, nullable=False, server_default=Zero),
    # When a scheduler looked last, so that its absence can be told.
    Column("looked_ms", BigInteger, nullable=False, server_default=Zero),
    # Of its runs so many at a time; 0: as many as there are slots.
    Column("most_runs", Integer, nullable=False, server_default=Zero),
    UniqueConstraint("project", "name"),
)

flow_version = Table(
    "ll_flow_version",
    metadata,
    Column("flow_version_id", Text, primary_key=True),
    Column("flow_id", ForeignKey("ll_flow.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    UniqueConstraint("flow_id", "fingerprint"),
    UniqueConstraint("flow_id", "version"),
)

flow_run = Table(
    "ll_flow_run",
    metadata,
    Column("flow_run_id", Text, primary_key=True),
    Column("flow_id", ForeignKey("ll_flow.id")),
    Column("flow_version_id", Text, nullable=False, server_default=Empty),
    Column("project", Text, nullable=False, server_default=Empty),
    Column("flow_name", Text, nullable=False),
    Column("name", Text, nullable=False, server_default=Empty),
    Column("parameters", Text, nullable=False, server_default=text("'{}'")),
    Column("graph", Text),
    Column("state", Text, nullable=False),
    Column("message", Text, nullable=False, server_default=Empty),
    Column("scheduled_ms", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("start_ms", BigInteger),
    Column("end_ms", BigInteger),
    Column("is_automatic", Boolean, nullable=False, server_default=false()),
    # The due time of a run that a schedule made, and its place when that makes several; NULL when
    # somebody asked for it.
    Column("due_key", Text),
    Column("token", BigInteger, nullable=False, server_default=Zero),
    Column("worker", Text, nullable=False, server_default=Empty),
    # Journal of the process that runs it without a lease: `flow.run()`.
    Column("writer", Text, nullable=False, server_default=Empty, index=True),
    Column("lease_until_ms", BigInteger, nullable=False, server_default=Zero),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("pause_requested", Boolean, nullable=False, server_default=false()),
    # JSON list, sorted: the labels that a worker needs to take it.
    Column("labels", Text, nullable=False, server_default=text("'[]'")),
    Column("priority", Integer, nullable=False, server_default=Zero),
    Column("note", Text, nullable=False, server_default=Empty),
    # What to do when its worker dies: "continue", "restart" or "no".
    Column("resume", Text, nullable=False, server_default=text("'continue'")),
    # Of who asked for it: asking again under the same makes no other.
    Column("run_key", Text),
    # When it was found waiting for too long, and when its worker was found gone.
    Column("late_ms", BigInteger),
    Column("lost_ms", BigInteger),
    # How many automations led from one to the next until it was made.
    Column("depth", Integer, nullable=False, server_default=Zero),
    # What started it, and its name: a person's, an automation's, an event's, a flow run's id.
    Column("origin", Text, nullable=False, server_default=text("'person'")),
    Column("started_by", Text, nullable=False, server_default=Empty),
    # Two schedulers may race: a flow runs once for a due time, whatever they do.
    UniqueConstraint("flow_id", "due_key"),
    UniqueConstraint("flow_id", "run_key"),
)
Index("ix_ll_flow_run_due", flow_run.c.state, flow_run.c.scheduled_ms)
Index("ix_ll_flow_run_newest", flow_run.c.scheduled_ms.desc(), flow_run.c.flow_run_id)
Index("ix_ll_flow_run_of", flow_run.c.flow_id, flow_run.c.scheduled_ms)

flow_run_event = Table(
    "ll_flow_run_event",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("flow_run_id", Text, nullable=False, index=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("message", Text, nullable=False, server_default=Empty),
    Column("task_slug", Text, nullable=False, server_default=Empty),
    Column("map_index", Integer, nullable=False, server_default=text("-1")),
    Column("attempt", Integer, nullable=False, server_default=Zero),
    Column("actor", Text, nullable=False, server_default=Empty),
)

task_run = Table(
    "ll_task_run",
    metadata,
    Column("flow_run_id", Text, nullable=False),
    Column("task_slug", Text, nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("message", Text, nullable=False, server_default=Empty),
    Column("attempt", Integer, nullable=False, server_default=Zero),
    Column("start_ms", BigInteger),
    Column("end_ms", BigInteger),
    Column("result", Text, nullable=False, server_default=Empty),
    Column("seen", BigInteger, nullable=False),
    # Where it differs from its task's.
    Column("name", Text, nullable=False, server_default=Empty),
    # When it goes on by itself; 0: at once, or when somebody lets it.
    Column("until_ms", BigInteger, nullable=False, server_default=Zero),
    PrimaryKeyConstraint("flow_run_id", "task_slug", "map_index"),
)
Index("ix_ll_task_run_seen", task_run.c.flow_run_id, task_run.c.seen)

#: Tags of which only so many tasks run at a time, in all flow runs together.
tag_limit = Table(
    "ll_tag_limit",
    metadata,
    Column("tag", Text, primary_key=True),
    Column("most", Integer, nullable=False),
)

#: Who has one of a tag's slots; it counts as long as its flow run is held under this token.
tag_slot = Table(
    "ll_tag_slot",
    metadata,
    Column("tag", Text, nullable=False),
    Column("flow_run_id", Text, nullable=False),
    Column("task_slug", Text, nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("token", BigInteger, nullable=False),
    PrimaryKeyConstraint("tag", "flow_run_id", "task_slug", "map_index"),
)
Index("ix_ll_tag_slot_of", tag_slot.c.flow_run_id)

#: Workers that were heard of.
worker = Table(
    "ll_worker",
    metadata,
    Column("worker_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False, server_default=Empty),
    Column("pid", BigInteger, nullable=False, server_default=Zero),
    Column("slots", Integer, nullable=False),
    Column("labels", Text, nullable=False, server_default=text("'[]'")),
    Column("status", Text, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False),
)

#: What is done by itself when something happens.
automation = Table(
    "ll_automation",
    metadata,
    Column("automation_id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("project", Text, nullable=False, server_default=Empty),
    # Of a flow that is registered with it: goes with the flow, and changes with its versions.
    Column("flow_id", ForeignKey("ll_flow.id"), index=True),
    Column("event", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("created_ms", BigInteger, nullable=False),
    # Number of the last event of its kind that it has looked at.
    Column("seen", BigInteger, nullable=False, server_default=Zero),
)

#: What automations did.
automation_firing = Table(
    "ll_automation_firing",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column(
        "automation_id",
        ForeignKey("ll_automation.automation_id", ondelete="CASCADE"),
        nullable=False,
    ),
    # Tells the event from all others: for each it does something once.
    Column("event_key", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False, server_default=Empty),
    Column("flow_run_id", Text, nullable=False, server_default=Empty),
    UniqueConstraint("automation_id", "event_key"),
    Index("ix_ll_automation_firing_of", "automation_id", "at_ms"),
)

log_line = Table(
    "ll_log_line",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("flow_run_id", Text, nullable=False),
    Column("task_slug", Text, nullable=False, server_default=Empty),
    Column("map_index", Integer, nullable=False, server_default=text("-1")),
    Column("at_ms", BigInteger, nullable=False),
    Column("level", Integer, nullable=False),
    Column("message", Text, nullable=False),
)
Index("ix_ll_log_line_of", log_line.c.flow_run_id, log_line.c.id)

flow_artifact = Table(
    "ll_flow_artifact",
    metadata,
    Column("artifact_id", Text, primary_key=True),
    Column("flow_run_id", Text, nullable=False, index=True),
    Column("task_slug", Text, nullable=False, server_default=Empty),
    Column("map_index", Integer, nullable=False, server_default=text("-1")),
    Column("kind", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

key_value = Table(
    "ll_key_value",
    metadata,
    # Whose keys: empty for those of people, a word for those of a part of Loopline.
    Column("space", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("space", "key"),
)

user = Table(
    "ll_user",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    # "local", or the issuer that vouches for it, and its name there.
    Column("source", Text, nullable=False, server_default=text("'local'")),
    Column("outside_name", Text, nullable=False, server_default=Empty),
    # Salt and hash; empty: it cannot sign in by password.
    Column("password", Text, nullable=False, server_default=Empty),
    Column("created_ms", BigInteger, nullable=False),
    # What is in logs and histories names its user: the number is never used again.
    sqlite_autoincrement=True,
)
Index("ix_ll_user_outside", user.c.source, user.c.outside_name)


def _of_user() -> ForeignKey:
    """Let a row be deleted with its user."""
    return ForeignKey("ll_user.id", ondelete="CASCADE")


#: Secrets are kept as their SHA-256 alone: they are random, 256 bits long, and told once.
token = Table(
    "ll_token",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),
    Column("user_id", _of_user(), nullable=False, index=True),
    Column("name", Text, nullable=False, server_default=Empty),
    Column("scope", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False, server_default=Zero),
    Column("last_used_ms", BigInteger, nullable=False, server_default=Zero),
    Column("revoked_ms", BigInteger, nullable=False, server_default=Zero),
)

session = Table(
    "ll_session",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("user_id", _of_user(), nullable=False, index=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("address", Text, nullable=False, server_default=Empty),
)

#: Links that work once: to set a password, or (without a user) to make the first administrator.
link = Table(
    "ll_link",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("user_id", _of_user(), index=True),
    Column("expires_ms", BigInteger, nullable=False),
)

#: Who recorded a flow run of ``flow.run()``, which is in no project.
flow_run_author = Table(
    "ll_flow_run_author",
    metadata,
    Column(
        "flow_run_id", ForeignKey("ll_flow_run.flow_run_id", ondelete="CASCADE"), primary_key=True
    ),
    Column("user_id", _of_user(), nullable=False, index=True),
)

#: Roles on one thing. Of an experiment the name is its number, so that no renaming moves them.
grant = Table(
    "ll_grant",
    metadata,
    Column("user_id", _of_user(), nullable=False),
    Column("thing", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    PrimaryKeyConstraint("user_id", "thing", "name"),
)
Index("ix_ll_grant_on", grant.c.thing, grant.c.name)

#: What was done, by whom. Rows are added and never changed; each hash covers the one before.
audit = Table(
    "ll_audit",
    metadata,
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
Index("ix_ll_audit_of", audit.c.subject, audit.c.number)

#: Values that nobody reads in passing: sealed with a key that is not in the database.
secret = Table(
    "ll_secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)

#: Who is told of what happens in the registry.
webhook = Table(
    "ll_webhook",
    metadata,
    Column("webhook_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=Empty),
    Column("events", Text, nullable=False),  # Such as "model_version.created", between spaces.
    Column("secret", Text, nullable=False, server_default=Empty),  # Sealed; empty: none.
    Column("status", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)

#: The outbox: what each is to be told, and how that went.
webhook_delivery = Table(
    "ll_webhook_delivery",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("delivery_id", Text, nullable=False, unique=True),
    Column(
        "webhook_id",
        ForeignKey("ll_webhook.webhook_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("event", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("tries", Integer, nullable=False, server_default=Zero),
    Column("answer_status", Integer, nullable=False, server_default=Zero),
    Column("error", Text, nullable=False, server_default=Empty),
    Column("at_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Index("ix_ll_webhook_delivery_due", "status", "due_ms"),
)

#: What decides over versions of models. Each change is a row; an empty document is none any more.
policy = Table(
    "ll_policy",
    metadata,
    Column("name", _of_model(), nullable=False),
    Column("stage", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False, server_default=Empty),
    Column("document", Text, nullable=False, server_default=Empty),
    PrimaryKeyConstraint("name", "stage", "number"),
    CheckConstraint("number > 0", name="number"),
)

#: Outlives its versions and its model, as history does.
decision = Table(
    "ll_decision",
    metadata,
    Column("decision_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False, server_default=Empty),
    Column("policy", Integer, nullable=False, server_default=Zero),
    Column("run_id", Text, nullable=False, server_default=Empty),
    Column("flow_run_id", Text, nullable=False, server_default=Empty),
    # The version whose place was decided on, as the document says.
    Column("challenger", Integer, nullable=False),
    Column("answered_ms", BigInteger, nullable=False, server_default=Zero),
    Column("answered_by", Text, nullable=False, server_default=Empty),
    Column("answer", Text, nullable=False, server_default=Empty),
    Column("document", Text, nullable=False),
    CheckConstraint(
        "status IN ('promoted', 'kept', 'waiting', 'refused', 'overtaken', 'rolled back', "
        "'dry run')",
        name="status",
    ),
    Index("ix_ll_decision_of", "name", "at_ms"),
    Index("ix_ll_decision_on", "name", "challenger", "at_ms"),
    Index("ix_ll_decision_status", "status", "at_ms"),
)

#: Data that grow: where from, and how new rows are told.
feed = Table(
    "ll_feed",
    metadata,
    Column("name", Text, primary_key=True),
    Column("project", Text, nullable=False, server_default=Empty, index=True),
    Column("document", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    # How many rows have arrived: the number of the next one.
    Column("rows", BigInteger, nullable=False, server_default=Zero),
    # JSON: the greatest place in the feed's order so far; empty: none.
    Column("order_until", Text, nullable=False, server_default=Empty),
)

#: Rows that came into a feed together: events that automations hear of.
feed_arrival = Table(
    "ll_feed_arrival",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("feed", ForeignKey("ll_feed.name"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("keys_sha256", Text, nullable=False, server_default=Empty, index=True),
    Column("flow_run_id", Text, nullable=False, server_default=Empty),
    Column("document", Text, nullable=False),
    UniqueConstraint("feed", "number"),
    # Automations remember the number of the last one they saw: it is never used again.
    sqlite_autoincrement=True,
)

#: Batches that broke a feed's contract.
feed_refusal = Table(
    "ll_feed_refusal",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("feed", ForeignKey("ll_feed.name"), nullable=False, index=True),
    Column("at_ms", BigInteger, nullable=False),
    # Digest of the batch, a data version.
    Column("content", Text, nullable=False, server_default=Empty),
    Column("document", Text, nullable=False),
)
