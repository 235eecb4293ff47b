"""A schema after the first one, for tests alone: a bit of everything that upgrades do.

Copied beside the real migrations, as 0002, by the tests of upgrades.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply it."""
    op.add_column("ll_run", sa.Column("machine", _TEXT, nullable=False, server_default="somewhere"))
    op.execute("UPDATE ll_run SET task_slug = '' WHERE task_slug IS NULL")
    # On SQLite this makes the table anew: eleven others refer to it, and views show it.
    with op.batch_alter_table("ll_run") as table:
        table.alter_column("task_slug", existing_type=_TEXT, nullable=False, server_default="")
        table.alter_column("status", existing_type=_TEXT, type_=sa.String(40))
        table.drop_index("ix_ll_run_status")
    op.create_index("ix_ll_run_machine", "ll_run", ["machine", "status"])

    # Rows are read, worked on here, and written somewhere else.
    op.create_table(
        "ll_param_size",
        sa.Column("run_pk", sa.BigInteger(), sa.ForeignKey("ll_run.pk"), nullable=False),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_pk", "key"),
    )
    size = sa.table("ll_param_size", sa.column("run_pk"), sa.column("key"), sa.column("size"))
    connection = op.get_bind()
    found = connection.execute(sa.text("SELECT run_pk, key, value FROM ll_param")).all()
    sizes = [{"run_pk": row.run_pk, "key": row.key, "size": len(row.value)} for row in found]
    if sizes:
        connection.execute(sa.insert(size), sizes)

    with op.batch_alter_table("ll_flow_run_event") as table:
        table.drop_column("actor")
    op.execute("UPDATE ll_tag SET value = 'vera@wagoncab' WHERE key = 'team'")
