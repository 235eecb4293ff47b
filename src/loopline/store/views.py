"""Views with the names and columns of MLflow's tables, for SQL, DuckDB and BI tools.

They are made anew whenever the schema is upgraded. There is none for ``metrics``, every point
there is: blocks cannot be unfolded in plain SQL. ``loopline sql`` has that one, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from loopline.errors import StoreVersionError

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["VIEWS", "drop_views", "make_views"]

#: ``{…}`` reads a JSON document, which the two databases write differently.
VIEWS: dict[str, str] = {
    "experiments": """
        SELECT id AS experiment_id, name, 'mlflow-artifacts:/' || id AS artifact_location,
               lifecycle AS lifecycle_stage, created_ms AS creation_time,
               updated_ms AS last_update_time
        FROM ll_experiment""",
    "experiment_tags": "SELECT key, value, experiment_id FROM ll_experiment_tag",
    "runs": """
        SELECT run_id AS run_uuid, name, 'LOCAL' AS source_type,
               coalesce((SELECT t.value || t.rest FROM ll_tag t
                         WHERE t.run_pk = pk AND t.key = 'mlflow.source.name'), '') AS source_name,
               '' AS entry_point_name, "user" AS user_id, status, start_ms AS start_time,
               end_ms AS end_time, NULL AS deleted_time,
               coalesce((SELECT t.value || t.rest FROM ll_tag t
                         WHERE t.run_pk = pk AND t.key = 'mlflow.source.git.commit'), '')
                   AS source_version,
               lifecycle AS lifecycle_stage,
               'mlflow-artifacts:/' || experiment_id || '/' || run_id || '/artifacts'
                   AS artifact_uri,
               experiment_id
        FROM ll_run""",
    "params": """
        SELECT p.key, p.value || p.rest AS value, r.run_id AS run_uuid
        FROM ll_param p JOIN ll_run r ON r.pk = p.run_pk""",
    "tags": """
        SELECT t.key, t.value || t.rest AS value, r.run_id AS run_uuid
        FROM ll_tag t JOIN ll_run r ON r.pk = t.run_pk""",
    "latest_metrics": """
        SELECT m.key, coalesce(m.value, 0) AS value, m.timestamp_ms AS timestamp, m.step, m.is_nan,
               r.run_id AS run_uuid
        FROM ll_metric m JOIN ll_run r ON r.pk = m.run_pk""",
    "datasets": """
        SELECT CAST(id AS TEXT) AS dataset_uuid, name, digest, 'local' AS dataset_source_type,
               {document.source} AS dataset_source, {document.columns} AS dataset_schema,
               {document.profile} AS dataset_profile
        FROM ll_dataset""",
    "inputs": """
        SELECT r.run_id || '/' || i.dataset_id || '/' || i.context AS input_uuid,
               'DATASET' AS source_type,
               CAST(i.dataset_id AS TEXT) AS source_id, 'RUN' AS destination_type,
               r.run_id AS destination_id
        FROM ll_run_input i JOIN ll_run r ON r.pk = i.run_pk""",
    "input_tags": """
        SELECT r.run_id || '/' || i.dataset_id || '/' || i.context AS input_uuid,
               'mlflow.data.context' AS name, i.context AS value
        FROM ll_run_input i JOIN ll_run r ON r.pk = i.run_pk
        WHERE i.context <> ''""",
    "registered_models": """
        SELECT name, created_ms AS creation_time, updated_ms AS last_updated_time, description
        FROM ll_model""",
    "registered_model_tags": "SELECT key, value, name FROM ll_model_tag",
    "model_versions": """
        SELECT name, version, created_ms AS creation_time, updated_ms AS last_updated_time,
               description, actor AS user_id, (SELECT s.seen_as FROM ll_stage s
                WHERE s.name = v.name AND s.stage = v.stage) AS current_stage,
               CASE WHEN source <> '' THEN source WHEN artifact_path = '' THEN ''
                    ELSE 'runs:/' || run_id || '/' || artifact_path END AS source,
               run_id, run_link, status, status_message,
               CASE WHEN artifact_path = '' THEN source
                    ELSE 'runs:/' || run_id || '/' || artifact_path END AS storage_location
        FROM ll_model_version v""",
    "model_version_tags": "SELECT key, value, name, version FROM ll_model_version_tag",
    "registered_model_aliases": "SELECT alias, version, name FROM ll_alias",
}

#: PostgreSQL's code (SQLSTATE): other objects depend on this one.
_DEPENDED_ON = "2BP01"
_JSON_FIELDS = ("source", "columns", "profile")


def drop_views(connection: Connection) -> None:
    """Drop the views: a table that one shows can hardly be changed.

    Raises:
        StoreVersionError: Views that users made depend on them; nothing is changed.
    """
    for name in VIEWS:
        try:
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _DEPENDED_ON:
                raise
            diagnosis = getattr(error.orig, "diag", None)  # Of psycopg.
            detail = getattr(diagnosis, "message_detail", error.orig)
            msg = (
                "The store is to be upgraded, and views of your own stand on Loopline's, which are "
                f"made anew ({detail}). Nothing was changed. Note how yours were made, drop them, "
                "open the store, and make them again."
            )
            raise StoreVersionError(msg) from error


def make_views(connection: Connection) -> None:
    """Make the views, where there are none."""
    is_sqlite = connection.dialect.name == "sqlite"
    written = {
        f"{{document.{field}}}": f"json_extract(document, '$.{field}')"
        if is_sqlite
        else f"document::json ->> '{field}'"
        for field in _JSON_FIELDS
    }
    for name, text in VIEWS.items():
        for mark, expression in written.items():
            text = text.replace(mark, expression)  # noqa: PLW2901 - built up
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {text.strip()}")
