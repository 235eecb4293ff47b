"""Tables of an MLflow database as MLflow 2.22 has them, by the names that it gives them.

That version reads them as they are; MLflow 3 migrates them by itself when it opens the file. What
only MLflow 3 has, logged models, is a second set of tables, that of its first version.
Constraints and indexes have MLflow's names because its migrations ask for them by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    column,
    table,
    text,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["MLFLOW_2", "MLFLOW_3", "USES", "Schema", "create_tables", "tables"]


class Schema(NamedTuple):
    """An MLflow whose schema is written.

    Attributes:
        revision: Its newest migration.
        names: Its tables.
    """

    mlflow_version: str
    revision: str
    names: frozenset[str]


metadata = MetaData()

LIFECYCLE = "lifecycle_stage IN ('active', 'deleted')"


def _table(name: str, *parts: Column[object] | PrimaryKeyConstraint | object) -> Table:
    return Table(name, metadata, *parts)  # type: ignore[arg-type]


def _run_id() -> Column[str]:
    return Column("run_uuid", String(32), ForeignKey("runs.run_uuid"), nullable=False)


def _is_nan(*, default: str | None) -> Column[bool]:
    return Column("is_nan", Boolean(create_constraint=True), nullable=False, server_default=default)


_table(
    "alembic_version",
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_table(
    "experiments",
    Column("experiment_id", Integer, nullable=False),
    Column("name", String(256), nullable=False, unique=True),
    Column("artifact_location", String(256)),
    Column("lifecycle_stage", String(32)),
    Column("creation_time", BigInteger),
    Column("last_update_time", BigInteger),
    PrimaryKeyConstraint("experiment_id", name="experiment_pk"),
    CheckConstraint(LIFECYCLE, name="experiments_lifecycle_stage"),
)
_table(
    "experiment_tags",
    Column("key", String(250), nullable=False),
    Column("value", String(5000)),
    Column("experiment_id", Integer, ForeignKey("experiments.experiment_id"), nullable=False),
    PrimaryKeyConstraint("key", "experiment_id", name="experiment_tag_pk"),
)
_table(
    "runs",
    Column("run_uuid", String(32), nullable=False),
    Column("name", String(250)),
    Column("source_type", String(20)),
    Column("source_name", String(500)),
    Column("entry_point_name", String(50)),
    Column("user_id", String(256)),
    Column("status", String(9)),
    Column("start_time", BigInteger),
    Column("end_time", BigInteger),
    Column("source_version", String(50)),
    Column("lifecycle_stage", String(20)),
    Column("artifact_uri", String(200)),
    Column("experiment_id", Integer, ForeignKey("experiments.experiment_id")),
    Column("deleted_time", BigInteger),
    PrimaryKeyConstraint("run_uuid", name="run_pk"),
    CheckConstraint(LIFECYCLE, name="runs_lifecycle_stage"),
    CheckConstraint(
        "source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')", name="source_type"
    ),
    CheckConstraint("status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED')"),
)
_metrics = _table(
    "metrics",
    Column("key", String(250), nullable=False),
    Column("value", Float(53), nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    _run_id(),
    Column("step", BigInteger, nullable=False, server_default=text("'0'")),
    _is_nan(default="0"),
    PrimaryKeyConstraint(
        "key", "timestamp", "step", "run_uuid", "value", "is_nan", name="metric_pk"
    ),
)
Index("index_metrics_run_uuid", _metrics.c.run_uuid)
_latest = _table(
    "latest_metrics",
    Column("key", String(250), nullable=False),
    Column("value", Float(53), nullable=False),
    Column("timestamp", BigInteger),
    Column("step", BigInteger, nullable=False),
    _is_nan(default=None),
    _run_id(),
    PrimaryKeyConstraint("key", "run_uuid", name="latest_metric_pk"),
)
Index("index_latest_metrics_run_uuid", _latest.c.run_uuid)
_params = _table(
    "params",
    Column("key", String(250), nullable=False),
    Column("value", String(8000), nullable=False),
    _run_id(),
    PrimaryKeyConstraint("key", "run_uuid", name="param_pk"),
)
Index("index_params_run_uuid", _params.c.run_uuid)
_tags = _table(
    "tags",
    Column("key", String(250), nullable=False),
    Column("value", String(8000)),
    _run_id(),
    PrimaryKeyConstraint("key", "run_uuid", name="tag_pk"),
)
Index("index_tags_run_uuid", _tags.c.run_uuid)
_datasets = _table(
    "datasets",
    Column("dataset_uuid", String(36), nullable=False),
    Column("experiment_id", Integer, nullable=False),
    Column("name", String(500), nullable=False),
    Column("digest", String(36), nullable=False),
    Column("dataset_source_type", String(36), nullable=False),
    Column("dataset_source", Text, nullable=False),
    Column("dataset_schema", Text),
    Column("dataset_profile", Text),
    PrimaryKeyConstraint("experiment_id", "name", "digest", name="dataset_pk"),
    ForeignKeyConstraint(
        ["experiment_id"],
        ["experiments.experiment_id"],
        name="fk_datasets_experiment_id_experiments",
        ondelete="CASCADE",
    ),
)
Index("index_datasets_dataset_uuid", _datasets.c.dataset_uuid)
Index(
    "index_datasets_experiment_id_dataset_source_type",
    _datasets.c.experiment_id,
    _datasets.c.dataset_source_type,
)
_inputs = _table(
    "inputs",
    Column("input_uuid", String(36), nullable=False),
    Column("source_type", String(36), nullable=False),
    Column("source_id", String(36), nullable=False),
    Column("destination_type", String(36), nullable=False),
    Column("destination_id", String(36), nullable=False),
    PrimaryKeyConstraint(
        "source_type", "source_id", "destination_type", "destination_id", name="inputs_pk"
    ),
)
Index("index_inputs_input_uuid", _inputs.c.input_uuid)
Index(
    "index_inputs_destination_type_destination_id_source_type",
    _inputs.c.destination_type,
    _inputs.c.destination_id,
    _inputs.c.source_type,
)
_table(
    "input_tags",
    Column("input_uuid", String(36), nullable=False),
    Column("name", String(255), nullable=False),
    Column("value", String(500), nullable=False),
    PrimaryKeyConstraint("input_uuid", "name", name="input_tags_pk"),
)
_table(
    "registered_models",
    Column("name", String(256), nullable=False),
    Column("creation_time", BigInteger),
    Column("last_updated_time", BigInteger),
    Column("description", String(5000)),
    PrimaryKeyConstraint("name", name="registered_model_pk"),
    UniqueConstraint("name"),
)
_table(
    "registered_model_tags",
    Column("key", String(250), nullable=False),
    Column("value", String(5000)),
    Column(
        "name",
        String(256),
        ForeignKey("registered_models.name", onupdate="cascade"),
        nullable=False,
    ),
    PrimaryKeyConstraint("key", "name", name="registered_model_tag_pk"),
)
_table(
    "registered_model_aliases",
    Column("alias", String(256), nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", String(256), nullable=False),
    PrimaryKeyConstraint("name", "alias", name="registered_model_alias_pk"),
    ForeignKeyConstraint(
        ["name"],
        ["registered_models.name"],
        name="registered_model_alias_name_fkey",
        onupdate="cascade",
        ondelete="cascade",
    ),
)
_table(
    "model_versions",
    Column(
        "name",
        String(256),
        ForeignKey("registered_models.name", onupdate="CASCADE"),
        nullable=False,
    ),
    Column("version", Integer, nullable=False),
    Column("creation_time", BigInteger),
    Column("last_updated_time", BigInteger),
    Column("description", String(5000)),
    Column("user_id", String(256)),
    Column("current_stage", String(20)),
    Column("source", String(500)),
    Column("run_id", String(32)),
    Column("status", String(20)),
    Column("status_message", String(500)),
    Column("run_link", String(500)),
    Column("storage_location", String(500)),
    PrimaryKeyConstraint("name", "version", name="model_version_pk"),
)
_table(
    "model_version_tags",
    Column("key", String(250), nullable=False),
    Column("value", String(5000)),
    Column("name", String(256), nullable=False),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("key", "name", "version", name="model_version_tag_pk"),
    ForeignKeyConstraint(
        ["name", "version"],
        ["model_versions.name", "model_versions.version"],
        onupdate="cascade",
    ),
)
_traces = _table(
    "trace_info",
    Column("request_id", String(50), nullable=False),
    Column("experiment_id", Integer, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("execution_time_ms", BigInteger),
    Column("status", String(50), nullable=False),
    PrimaryKeyConstraint("request_id", name="trace_info_pk"),
    ForeignKeyConstraint(
        ["experiment_id"], ["experiments.experiment_id"], name="fk_trace_info_experiment_id"
    ),
)
Index(
    "index_trace_info_experiment_id_timestamp_ms", _traces.c.experiment_id, _traces.c.timestamp_ms
)
for _name, _key_name in (
    ("trace_tags", "trace_tag_pk"),
    ("trace_request_metadata", "trace_request_metadata_pk"),
):
    _of = _table(
        _name,
        Column("key", String(250), nullable=False),
        Column("value", String(8000)),
        Column("request_id", String(50), nullable=False),
        PrimaryKeyConstraint("key", "request_id", name=_key_name),
        ForeignKeyConstraint(
            ["request_id"],
            ["trace_info.request_id"],
            name=f"fk_{_name}_request_id",
            ondelete="CASCADE",
        ),
    )
    Index(f"index_{_name}_request_id", _of.c.request_id)

_OF_2 = frozenset(metadata.tables)

_table(
    "logged_models",
    Column("model_id", String(36), nullable=False),
    Column("experiment_id", Integer, nullable=False),
    Column("name", String(500), nullable=False),
    Column("artifact_location", String(1000), nullable=False),
    Column("creation_timestamp_ms", BigInteger, nullable=False),
    Column("last_updated_timestamp_ms", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("lifecycle_stage", String(32)),
    Column("model_type", String(500)),
    Column("source_run_id", String(32)),
    Column("status_message", String(1000)),
    CheckConstraint(LIFECYCLE, name="logged_models_lifecycle_stage_check"),
    ForeignKeyConstraint(
        ["experiment_id"],
        ["experiments.experiment_id"],
        name="fk_logged_models_experiment_id",
        ondelete="CASCADE",
    ),
    PrimaryKeyConstraint("model_id", name="logged_models_pk"),
)


def _of_logged_model(name: str, *parts: object) -> Table:
    return _table(
        name,
        Column("model_id", String(36), nullable=False),
        Column("experiment_id", Integer, nullable=False),
        ForeignKeyConstraint(
            ["experiment_id"], ["experiments.experiment_id"], name=f"fk_{name}_experiment_id"
        ),
        ForeignKeyConstraint(
            ["model_id"],
            ["logged_models.model_id"],
            name=f"fk_{name}_model_id",
            ondelete="CASCADE",
        ),
        *parts,
    )


for _kind in ("param", "tag"):
    _of_logged_model(
        f"logged_model_{_kind}s",
        Column(f"{_kind}_key", String(255), nullable=False),
        Column(f"{_kind}_value", Text, nullable=False),
        PrimaryKeyConstraint("model_id", f"{_kind}_key", name=f"logged_model_{_kind}s_pk"),
    )
_of_metrics = _of_logged_model(
    "logged_model_metrics",
    Column("metric_name", String(500), nullable=False),
    Column("metric_timestamp_ms", BigInteger, nullable=False),
    Column("metric_step", BigInteger, nullable=False),
    Column("metric_value", Float(53)),
    Column("run_id", String(32), nullable=False),
    Column("dataset_uuid", String(36)),
    Column("dataset_name", String(500)),
    Column("dataset_digest", String(36)),
    ForeignKeyConstraint(
        ["run_id"], ["runs.run_uuid"], name="fk_logged_model_metrics_run_id", ondelete="CASCADE"
    ),
    PrimaryKeyConstraint(
        "model_id",
        "metric_name",
        "metric_timestamp_ms",
        "metric_step",
        "run_id",
        name="logged_model_metrics_pk",
    ),
)
Index("index_logged_model_metrics_model_id", _of_metrics.c.model_id)

#: ``inputs`` as MLflow 3 has it, with the step at which a run made a logged model.
USES = table("inputs", *(column(each.name) for each in _inputs.c), column("step"))
#: Tables by name.
tables = metadata.tables
MLFLOW_2 = Schema("2.22", "0584bdc529eb", _OF_2)
MLFLOW_3 = Schema("3.0", "6953534de441", frozenset(tables))


def create_tables(connection: Connection, schema: Schema) -> None:
    """Make the tables of a schema in an empty database."""
    metadata.create_all(connection, [tables[name] for name in schema.names])
    if schema is MLFLOW_3:
        # What its migration adds; a column of the table here would be one of MLflow 2, too.
        connection.execute(text("ALTER TABLE inputs ADD COLUMN step BIGINT DEFAULT '0' NOT NULL"))
