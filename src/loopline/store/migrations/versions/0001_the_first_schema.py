"""The first schema.

Longer than 500 lines because it is the whole schema at once, and a migration is never edited.
"""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply it."""
    op.create_table(
        "ll_command",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "operation",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_ll_command")),
    )
    op.create_index(op.f("ix_ll_command_at_ms"), "ll_command", ["at_ms"], unique=False)
    op.create_table(
        "ll_dataset",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "feed",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "document", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_dataset")),
        sa.UniqueConstraint("name", "digest", name=op.f("uq_ll_dataset_name_digest")),
    )
    op.create_index(op.f("ix_ll_dataset_digest"), "ll_dataset", ["digest"], unique=False)
    op.create_index(op.f("ix_ll_dataset_feed"), "ll_dataset", ["feed"], unique=False)
    op.create_table(
        "ll_experiment",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "lifecycle",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'active'"),
            nullable=False,
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_experiment")),
        sa.UniqueConstraint("name", name=op.f("uq_ll_experiment_name")),
        sqlite_autoincrement=True,
    )

    op.create_table(
        "ll_flow",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "project", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("latest_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("schedule_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("materialised_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("looked_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("most_runs", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_flow")),
        sa.UniqueConstraint("project", "name", name=op.f("uq_ll_flow_project_name")),
    )
    op.create_table(
        "ll_flow_run_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "state", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "message",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "task_slug",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("map_index", sa.Integer(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "actor",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_flow_run_event")),
    )
    op.create_index(
        op.f("ix_ll_flow_run_event_flow_run_id"), "ll_flow_run_event", ["flow_run_id"], unique=False
    )
    op.create_table(
        "ll_log_line",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "task_slug",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("map_index", sa.Integer(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column(
            "message", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_log_line")),
    )
    op.create_index("ix_ll_log_line_of", "ll_log_line", ["flow_run_id", "id"], unique=False)
    op.create_table(
        "ll_flow_artifact",
        sa.Column(
            "artifact_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "task_slug",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("map_index", sa.Integer(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column(
            "kind", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "document", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("artifact_id", name=op.f("pk_ll_flow_artifact")),
    )
    op.create_index(
        op.f("ix_ll_flow_artifact_flow_run_id"), "ll_flow_artifact", ["flow_run_id"], unique=False
    )
    op.create_table(
        "ll_key_value",
        sa.Column(
            "space", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("space", "key", name=op.f("pk_ll_key_value")),
    )
    op.create_table(
        "ll_model",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "description",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("latest_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ll_model")),
    )
    op.create_table(
        "ll_refused",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "run_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "writer", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "fact", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "reason", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_refused")),
    )
    op.create_index(op.f("ix_ll_refused_run_id"), "ll_refused", ["run_id"], unique=False)
    op.create_table(
        "ll_task_run",
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "task_slug",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column(
            "state", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "message",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=True),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column(
            "result",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column(
            "name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("until_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint(
            "flow_run_id", "task_slug", "map_index", name=op.f("pk_ll_task_run")
        ),
    )
    op.create_index("ix_ll_task_run_seen", "ll_task_run", ["flow_run_id", "seen"], unique=False)
    op.create_table(
        "ll_version_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "kind", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "before",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "after",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "actor",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "reason",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_version_event")),
    )
    op.create_index(op.f("ix_ll_version_event_name"), "ll_version_event", ["name"], unique=False)
    op.create_table(
        "ll_writer",
        sa.Column(
            "writer", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("acknowledged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "host",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("pid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_gone", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("writer", name=op.f("pk_ll_writer")),
    )
    op.create_table(
        "ll_experiment_tag",
        sa.Column(
            "experiment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["ll_experiment.id"], name=op.f("fk_ll_experiment_tag_experiment_id")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "key", name=op.f("pk_ll_experiment_tag")),
    )

    op.create_table(
        "ll_flow_run",
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("flow_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "flow_version_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "project",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "flow_name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "parameters",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "graph", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column(
            "state", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "message",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("scheduled_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=True),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("is_automatic", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column(
            "due_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column("token", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "worker",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "writer",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("lease_until_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("pause_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column(
            "labels",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "note",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "resume",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'continue'"),
            nullable=False,
        ),
        sa.Column(
            "run_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column("late_ms", sa.BigInteger(), nullable=True),
        sa.Column("lost_ms", sa.BigInteger(), nullable=True),
        sa.Column("depth", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "origin",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'person'"),
            nullable=False,
        ),
        sa.Column(
            "started_by",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["flow_id"], ["ll_flow.id"], name=op.f("fk_ll_flow_run_flow_id")),
        sa.PrimaryKeyConstraint("flow_run_id", name=op.f("pk_ll_flow_run")),
        sa.UniqueConstraint("flow_id", "due_key", name=op.f("uq_ll_flow_run_flow_id_due_key")),
        sa.UniqueConstraint("flow_id", "run_key", name=op.f("uq_ll_flow_run_flow_id_run_key")),
    )
    op.create_index("ix_ll_flow_run_due", "ll_flow_run", ["state", "scheduled_ms"], unique=False)
    op.create_index(
        "ix_ll_flow_run_newest",
        "ll_flow_run",
        [sa.literal_column("scheduled_ms DESC"), "flow_run_id"],
        unique=False,
    )
    op.create_index("ix_ll_flow_run_of", "ll_flow_run", ["flow_id", "scheduled_ms"], unique=False)
    op.create_index(op.f("ix_ll_flow_run_writer"), "ll_flow_run", ["writer"], unique=False)
    op.create_table(
        "ll_flow_version",
        sa.Column(
            "flow_version_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("flow_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "fingerprint",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "document", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["ll_flow.id"], name=op.f("fk_ll_flow_version_flow_id")
        ),
        sa.PrimaryKeyConstraint("flow_version_id", name=op.f("pk_ll_flow_version")),
        sa.UniqueConstraint(
            "flow_id", "fingerprint", name=op.f("uq_ll_flow_version_flow_id_fingerprint")
        ),
        sa.UniqueConstraint("flow_id", "version", name=op.f("uq_ll_flow_version_flow_id_version")),
    )
    op.create_table(
        "ll_model_tag",
        sa.Column(
            "name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "value",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["name"],
            ["ll_model.name"],
            name=op.f("fk_ll_model_tag_name"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "key", name=op.f("pk_ll_model_tag")),
    )
    op.create_table(
        "ll_stage",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "stage", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "folded", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "seen_as", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.CheckConstraint(
            "seen_as IN ('None', 'Staging', 'Production', 'Archived')",
            name=op.f("ck_ll_stage_seen_as"),
        ),
        sa.ForeignKeyConstraint(
            ["name"],
            ["ll_model.name"],
            name=op.f("fk_ll_stage_name"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "stage", name=op.f("pk_ll_stage")),
        sa.UniqueConstraint("name", "folded", name=op.f("uq_ll_stage_name_folded")),
    )
    op.create_table(
        "ll_model_version",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "run_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "artifact_path",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "source",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "run_link",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "logged_model_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "stage",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'None'"),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'READY'"),
            nullable=False,
        ),
        sa.Column(
            "status_message",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "description",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "actor",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "document", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_ll_model_version_version")),
        sa.ForeignKeyConstraint(
            ["name", "stage"],
            ["ll_stage.name", "ll_stage.stage"],
            name=op.f("fk_ll_model_version_name_stage"),
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_ll_model_version")),
        sa.UniqueConstraint(
            "name", "version", "stage", name=op.f("uq_ll_model_version_name_version_stage")
        ),
    )
    op.create_index(
        op.f("ix_ll_model_version_run_id"), "ll_model_version", ["run_id"], unique=False
    )
    op.create_index(
        op.f("ix_ll_model_version_logged_model_id"),
        "ll_model_version",
        ["logged_model_id"],
        unique=False,
    )
    op.create_index(
        "ix_ll_model_version_stage",
        "ll_model_version",
        ["name", "stage", "version"],
        unique=False,
    )
    op.create_index(
        "ix_ll_model_version_newest",
        "ll_model_version",
        [sa.literal_column("updated_ms DESC"), "name", sa.literal_column("version DESC")],
        unique=False,
    )
    op.create_table(
        "ll_alias",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "alias", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["name", "version"],
            ["ll_model_version.name", "ll_model_version.version"],
            name=op.f("fk_ll_alias_name_version"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "alias", name=op.f("pk_ll_alias")),
    )
    op.create_table(
        "ll_champion",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "stage", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["name", "version", "stage"],
            ["ll_model_version.name", "ll_model_version.version", "ll_model_version.stage"],
            name=op.f("fk_ll_champion_name_version_stage"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "stage", name=op.f("pk_ll_champion")),
    )
    op.create_table(
        "ll_model_version_file",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "path", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "sha256", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["name", "version"],
            ["ll_model_version.name", "ll_model_version.version"],
            name=op.f("fk_ll_model_version_file_name_version"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "version", "path", name=op.f("pk_ll_model_version_file")),
    )
    op.create_index(
        op.f("ix_ll_model_version_file_sha256"), "ll_model_version_file", ["sha256"], unique=False
    )
    op.create_table(
        "ll_model_version_tag",
        sa.Column(
            "name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "value",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["name", "version"],
            ["ll_model_version.name", "ll_model_version.version"],
            name=op.f("fk_ll_model_version_tag_name_version"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "version", "key", name=op.f("pk_ll_model_version_tag")),
    )
    op.create_table(
        "ll_run",
        sa.Column(
            "pk",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "run_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "experiment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "status", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "lifecycle",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'active'"),
            nullable=False,
        ),
        sa.Column("start_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column(
            "user",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "end_reason",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "ended_by",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "parent_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "task_slug", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column("is_stub", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["ll_experiment.id"], name=op.f("fk_ll_run_experiment_id")
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_ll_run")),
        sa.UniqueConstraint("run_id", name=op.f("uq_ll_run_run_id")),
    )
    op.create_index(op.f("ix_ll_run_flow_run_id"), "ll_run", ["flow_run_id"], unique=False)
    op.create_index(
        "ix_ll_run_newest",
        "ll_run",
        ["experiment_id", "lifecycle", sa.literal_column("start_ms DESC"), "run_id"],
        unique=False,
    )
    op.create_index(
        "ix_ll_run_newest_anywhere",
        "ll_run",
        ["lifecycle", sa.literal_column("start_ms DESC"), "run_id"],
        unique=False,
    )
    op.create_index(op.f("ix_ll_run_parent_run_id"), "ll_run", ["parent_run_id"], unique=False)
    op.create_index("ix_ll_run_status", "ll_run", ["status"], unique=False)
    op.create_table(
        "ll_artifact",
        sa.Column("run_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "path", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "sha256", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_pk"], ["ll_run.pk"], name=op.f("fk_ll_artifact_run_pk")),
        sa.PrimaryKeyConstraint("run_pk", "path", name=op.f("pk_ll_artifact")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_ll_artifact_sha256"), "ll_artifact", ["sha256"], unique=False)
    op.create_table(
        "ll_metric",
        sa.Column("run_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("is_nan", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("min", sa.Double(), nullable=True),
        sa.Column("max", sa.Double(), nullable=True),
        sa.Column("sum", sa.Double(), nullable=True),
        sa.Column("finite", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("first_step", sa.BigInteger(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "lifecycle",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["run_pk"], ["ll_run.pk"], name=op.f("fk_ll_metric_run_pk")),
        sa.PrimaryKeyConstraint("run_pk", "key", name=op.f("pk_ll_metric")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_ll_metric_search",
        "ll_metric",
        ["experiment_id", "lifecycle", "key", "is_nan", "value", "run_pk"],
        unique=False,
    )
    op.create_table(
        "ll_inbox",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_inbox")),
    )
    op.create_table(
        "ll_handed_in",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "writer",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("acknowledged", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_handed_in")),
    )
    op.create_table(
        "ll_metric_block",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("run_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first", sa.LargeBinary(), nullable=False),
        sa.Column("last", sa.LargeBinary(), nullable=False),
        sa.Column("preview", sa.LargeBinary(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_pk"], ["ll_run.pk"], name=op.f("fk_ll_metric_block_run_pk")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_metric_block")),
    )
    op.create_index(
        "ix_ll_metric_block_of", "ll_metric_block", ["run_pk", "key", "id"], unique=False
    )
    op.create_table(
        "ll_param",
        sa.Column("run_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "rest",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "lifecycle",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["run_pk"], ["ll_run.pk"], name=op.f("fk_ll_param_run_pk")),
        sa.PrimaryKeyConstraint("run_pk", "key", name=op.f("pk_ll_param")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_ll_param_search",
        "ll_param",
        ["experiment_id", "lifecycle", "key", "value", "run_pk"],
        unique=False,
    )
    op.create_table(
        "ll_run_document",
        sa.Column(
            "run_pk",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_pk"], ["ll_run.pk"], name=op.f("fk_ll_run_document_run_pk")),
        sa.PrimaryKeyConstraint("run_pk", name=op.f("pk_ll_run_document")),
    )
    op.create_table(
        "ll_run_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("run_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "status", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "reason",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "actor",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["run_pk"], ["ll_run.pk"], name=op.f("fk_ll_run_event_run_pk")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_run_event")),
    )
    op.create_index(op.f("ix_ll_run_event_run_pk"), "ll_run_event", ["run_pk"], unique=False)
    op.create_table(
        "ll_run_input",
        sa.Column("run_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "dataset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "context",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "tags",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["ll_dataset.id"], name=op.f("fk_ll_run_input_dataset_id")
        ),
        sa.ForeignKeyConstraint(["run_pk"], ["ll_run.pk"], name=op.f("fk_ll_run_input_run_pk")),
        sa.PrimaryKeyConstraint("run_pk", "dataset_id", "context", name=op.f("pk_ll_run_input")),
    )
    op.create_index(
        op.f("ix_ll_run_input_dataset_id"), "ll_run_input", ["dataset_id"], unique=False
    )
    op.create_table(
        "ll_tag",
        sa.Column("run_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "rest",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "lifecycle",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["run_pk"], ["ll_run.pk"], name=op.f("fk_ll_tag_run_pk")),
        sa.PrimaryKeyConstraint("run_pk", "key", name=op.f("pk_ll_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_ll_tag_search",
        "ll_tag",
        ["experiment_id", "lifecycle", "key", "value", "run_pk"],
        unique=False,
    )
    op.create_table(
        "ll_writer_run",
        sa.Column("run_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "writer", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(["run_pk"], ["ll_run.pk"], name=op.f("fk_ll_writer_run_run_pk")),
        sa.PrimaryKeyConstraint("run_pk", "writer", name=op.f("pk_ll_writer_run")),
    )
    op.create_index(op.f("ix_ll_writer_run_writer"), "ll_writer_run", ["writer"], unique=False)
    op.create_table(
        "ll_logged_model",
        sa.Column(
            "pk",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "model_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "experiment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "model_type",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "source_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "status", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "status_message",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "lifecycle",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'active'"),
            nullable=False,
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["ll_experiment.id"], name=op.f("fk_ll_logged_model_experiment_id")
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_ll_logged_model")),
        sa.UniqueConstraint("model_id", name=op.f("uq_ll_logged_model_model_id")),
    )
    op.create_index(
        "ix_ll_logged_model_newest",
        "ll_logged_model",
        ["experiment_id", "lifecycle", sa.literal_column("created_ms DESC"), "model_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ll_logged_model_source_run_id"), "ll_logged_model", ["source_run_id"], unique=False
    )
    op.create_table(
        "ll_logged_model_file",
        sa.Column("model_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "path", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "sha256", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_pk"],
            ["ll_logged_model.pk"],
            name=op.f("fk_ll_logged_model_file_model_pk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_pk", "path", name=op.f("pk_ll_logged_model_file")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_ll_logged_model_file_sha256"), "ll_logged_model_file", ["sha256"], unique=False
    )
    op.create_table(
        "ll_logged_model_metric",
        sa.Column("model_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "dataset_name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "dataset_digest",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "run_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["model_pk"],
            ["ll_logged_model.pk"],
            name=op.f("fk_ll_logged_model_metric_model_pk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "model_pk",
            "key",
            "dataset_name",
            "dataset_digest",
            "run_id",
            "step",
            "timestamp_ms",
            name=op.f("pk_ll_logged_model_metric"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ll_logged_model_param",
        sa.Column("model_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["model_pk"],
            ["ll_logged_model.pk"],
            name=op.f("fk_ll_logged_model_param_model_pk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_pk", "key", name=op.f("pk_ll_logged_model_param")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ll_logged_model_tag",
        sa.Column("model_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["model_pk"],
            ["ll_logged_model.pk"],
            name=op.f("fk_ll_logged_model_tag_model_pk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_pk", "key", name=op.f("pk_ll_logged_model_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ll_run_model",
        sa.Column("run_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "role", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "model_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("step", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["run_pk"], ["ll_run.pk"], name=op.f("fk_ll_run_model_run_pk")),
        sa.PrimaryKeyConstraint("run_pk", "role", "model_id", name=op.f("pk_ll_run_model")),
    )
    op.create_index(op.f("ix_ll_run_model_model_id"), "ll_run_model", ["model_id"], unique=False)
    op.create_table(
        "ll_audit",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "actor", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "how", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "address", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "action", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "subject", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "before", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "after", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "previous", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "hash", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ll_audit")),
    )
    op.create_index("ix_ll_audit_of", "ll_audit", ["subject", "number"], unique=False)
    op.create_table(
        "ll_user",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "role", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column(
            "source",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'local'"),
            nullable=False,
        ),
        sa.Column(
            "outside_name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "password",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_user")),
        sa.UniqueConstraint("name", name=op.f("uq_ll_user_name")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ll_user_outside", "ll_user", ["source", "outside_name"], unique=False)
    op.create_table(
        "ll_grant",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "thing", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "role", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ll_user.id"], name=op.f("fk_ll_grant_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "thing", "name", name=op.f("pk_ll_grant")),
    )
    op.create_index("ix_ll_grant_on", "ll_grant", ["thing", "name"], unique=False)
    op.create_table(
        "ll_link",
        sa.Column(
            "sha256", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ll_user.id"], name=op.f("fk_ll_link_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_ll_link")),
    )
    op.create_index(op.f("ix_ll_link_user_id"), "ll_link", ["user_id"], unique=False)
    op.create_table(
        "ll_session",
        sa.Column(
            "sha256", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "address",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ll_user.id"], name=op.f("fk_ll_session_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_ll_session")),
    )
    op.create_index(op.f("ix_ll_session_user_id"), "ll_session", ["user_id"], unique=False)
    op.create_table(
        "ll_token",
        sa.Column(
            "token_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "sha256", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "scope", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_used_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ll_user.id"], name=op.f("fk_ll_token_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_ll_token")),
        sa.UniqueConstraint("sha256", name=op.f("uq_ll_token_sha256")),
    )
    op.create_index(op.f("ix_ll_token_user_id"), "ll_token", ["user_id"], unique=False)
    op.create_table(
        "ll_webhook",
        sa.Column(
            "webhook_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "url", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "description",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("''"),
            nullable=False,
        ),
        sa.Column(
            "events", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "secret",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("''"),
            nullable=False,
        ),
        sa.Column(
            "status", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_ll_webhook")),
    )
    op.create_table(
        "ll_webhook_delivery",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "delivery_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "webhook_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "event", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "body", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "status", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("answer_status", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "error",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("''"),
            nullable=False,
        ),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["ll_webhook.webhook_id"],
            name=op.f("fk_ll_webhook_delivery_webhook_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_webhook_delivery")),
        sa.UniqueConstraint("delivery_id", name=op.f("uq_ll_webhook_delivery_delivery_id")),
    )
    op.create_index(
        op.f("ix_ll_webhook_delivery_webhook_id"),
        "ll_webhook_delivery",
        ["webhook_id"],
        unique=False,
    )
    op.create_index(
        "ix_ll_webhook_delivery_due", "ll_webhook_delivery", ["status", "due_ms"], unique=False
    )
    op.create_table(
        "ll_secret",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "sealed", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ll_secret")),
    )
    keys = op.create_table(
        "ll_store_key",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ll_store_key")),
    )
    op.bulk_insert(keys, [{"name": "pages", "value": secrets.token_bytes(32)}])
    # Experiment 0 is where runs go that name none, as MLflow has it.
    now_ms = time.time_ns() // 1_000_000
    default = sa.text(
        "INSERT INTO ll_experiment (id, name, created_ms, updated_ms) "
        "VALUES (0, 'Default', :now_ms, :now_ms)"
    )
    op.execute(default.bindparams(now_ms=now_ms))

    op.create_table(
        "ll_project",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "description",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ll_project")),
    )

    op.create_table(
        "ll_tag_limit",
        sa.Column(
            "tag", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tag", name=op.f("pk_ll_tag_limit")),
    )

    op.create_table(
        "ll_tag_slot",
        sa.Column(
            "tag", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "task_slug",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tag", "flow_run_id", "task_slug", "map_index", name=op.f("pk_ll_tag_slot")
        ),
    )
    op.create_index("ix_ll_tag_slot_of", "ll_tag_slot", ["flow_run_id"], unique=False)

    op.create_table(
        "ll_worker",
        sa.Column(
            "worker_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "host",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("pid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column(
            "labels",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column(
            "status", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("worker_id", name=op.f("pk_ll_worker")),
    )

    op.create_table(
        "ll_automation",
        sa.Column(
            "automation_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "project",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("flow_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "event", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "document", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["ll_flow.id"], name=op.f("fk_ll_automation_flow_id")),
        sa.PrimaryKeyConstraint("automation_id", name=op.f("pk_ll_automation")),
        sa.UniqueConstraint("name", name=op.f("uq_ll_automation_name")),
    )
    op.create_index(op.f("ix_ll_automation_flow_id"), "ll_automation", ["flow_id"], unique=False)

    op.create_table(
        "ll_automation_firing",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "automation_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "event_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "status", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "subject", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "detail",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["automation_id"],
            ["ll_automation.automation_id"],
            name=op.f("fk_ll_automation_firing_automation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_automation_firing")),
        sa.UniqueConstraint(
            "automation_id",
            "event_key",
            name=op.f("uq_ll_automation_firing_automation_id_event_key"),
        ),
    )
    op.create_index(
        "ix_ll_automation_firing_of",
        "ll_automation_firing",
        ["automation_id", "at_ms"],
        unique=False,
    )

    op.create_table(
        "ll_flow_run_author",
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["flow_run_id"],
            ["ll_flow_run.flow_run_id"],
            name=op.f("fk_ll_flow_run_author_flow_run_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["ll_user.id"],
            name=op.f("fk_ll_flow_run_author_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("flow_run_id", name=op.f("pk_ll_flow_run_author")),
    )
    op.create_index(
        op.f("ix_ll_flow_run_author_user_id"), "ll_flow_run_author", ["user_id"], unique=False
    )

    op.create_table(
        "ll_policy",
        sa.Column(
            "name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "stage",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "actor",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "document",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.CheckConstraint("number > 0", name=op.f("ck_ll_policy_number")),
        sa.ForeignKeyConstraint(
            ["name"],
            ["ll_model.name"],
            name=op.f("fk_ll_policy_name"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "stage", "number", name=op.f("pk_ll_policy")),
    )

    op.create_table(
        "ll_decision",
        sa.Column(
            "decision_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "stage",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "actor",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("policy", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column("challenger", sa.Integer(), nullable=False),
        sa.Column("answered_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "answered_by",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "answer",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("('')"),
            nullable=False,
        ),
        sa.Column(
            "document",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status IN ('promoted', 'kept', 'waiting', 'refused', 'overtaken', 'rolled back', "
            "'dry run')",
            name=op.f("ck_ll_decision_status"),
        ),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_ll_decision")),
    )
    op.create_index("ix_ll_decision_of", "ll_decision", ["name", "at_ms"], unique=False)
    op.create_index(
        "ix_ll_decision_on", "ll_decision", ["name", "challenger", "at_ms"], unique=False
    )
    op.create_index("ix_ll_decision_status", "ll_decision", ["status", "at_ms"], unique=False)

    op.create_table(
        "ll_feed",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "project",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("''"),
            nullable=False,
        ),
        sa.Column(
            "document", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "order_until",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("''"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ll_feed")),
    )
    op.create_index(op.f("ix_ll_feed_project"), "ll_feed", ["project"], unique=False)

    op.create_table(
        "ll_feed_arrival",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "feed", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "keys_sha256",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("''"),
            nullable=False,
        ),
        sa.Column(
            "flow_run_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("''"),
            nullable=False,
        ),
        sa.Column(
            "document", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(["feed"], ["ll_feed.name"], name=op.f("fk_ll_feed_arrival_feed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_feed_arrival")),
        sa.UniqueConstraint("feed", "number", name=op.f("uq_ll_feed_arrival_feed_number")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_ll_feed_arrival_keys_sha256"), "ll_feed_arrival", ["keys_sha256"], unique=False
    )

    op.create_table(
        "ll_feed_refusal",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "feed", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column(
            "content",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default=sa.text("''"),
            nullable=False,
        ),
        sa.Column(
            "document", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(["feed"], ["ll_feed.name"], name=op.f("fk_ll_feed_refusal_feed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ll_feed_refusal")),
    )
    op.create_index(op.f("ix_ll_feed_refusal_feed"), "ll_feed_refusal", ["feed"], unique=False)
