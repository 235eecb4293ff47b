"""BigQuery as a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import MissingExtraError
from loopline.flows.task import Task
from loopline.tasks.given import needed
from loopline.tasks.results import OF_ROWS, check_fetch, of_arrow, of_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BigQueryQuery"]


class BigQueryQuery(Task):
    """Ask BigQuery; credentials come from where Google's own tools take them.

    Args:
        query: A statement, or several that run one after another; the last one answers.
        project: Who pays; the credentials' project by default.
        location: Such as ``"EU"``.
        fetch: As in ``DuckDBQuery``.
        most_bytes_billed: A statement that would read more is refused, and costs nothing.
        timeout_s: Seconds that a statement may take; it is cancelled then.
        **options: As ``Task`` has them.
    """

    def __init__(
        self,
        query: str | Sequence[str] | None = None,
        project: str | None = None,
        *,
        location: str | None = None,
        fetch: str = "rows",
        most_bytes_billed: int | None = None,
        timeout_s: float | None = None,
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.query = query
        self.project = project
        self.location = location
        self.fetch = check_fetch(fetch)
        self.most_bytes_billed = most_bytes_billed
        self.timeout_s = timeout_s
        super().__init__(**options)

    def run(
        self,
        query: str | Sequence[str] | None = None,
        params: Mapping[str, Any] | None = None,
        client: Any = None,  # noqa: ANN401 - google.cloud.bigquery.Client
    ) -> Any:  # noqa: ANN401 - as ``fetch`` says
        """Ask.

        Args:
            query: As in the constructor.
            params: Values of ``@name`` in the last statement; types are told from the values.
            client: Instead of one made here.

        Raises:
            MissingExtraError: google-cloud-bigquery is not installed.
        """
        try:
            from google.cloud import bigquery
        except ImportError:
            raise MissingExtraError(
                "google-cloud-bigquery", extra="bigquery", purpose="BigQueryQuery"
            ) from None
        wanted = needed(self, "query", query, self.query)
        statements = [wanted] if isinstance(wanted, str) else list(wanted)
        client = client or bigquery.Client(project=self.project, location=self.location)
        for statement in statements[:-1]:
            self._ask(client, statement, None)
        found = self._ask(client, statements[-1], params)
        if self.fetch == "none":
            return None
        if self.fetch in OF_ROWS:
            names = [field.name for field in found.schema]
            return of_rows(self.fetch, names, [tuple(row.values()) for row in found])
        return of_arrow(self.fetch, found.to_arrow(create_bqstorage_client=False))

    def _ask(self, client: Any, statement: str, params: Mapping[str, Any] | None) -> Any:  # noqa: ANN401 - Google's
        from google.cloud import bigquery

        settings = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in (params or {}).items()]
        )
        if self.most_bytes_billed is not None:
            settings.maximum_bytes_billed = self.most_bytes_billed
        job = client.query(statement, job_config=settings)
        try:
            return job.result(timeout=self.timeout_s)
        except BaseException:
            if not job.done(reload=False):
                job.cancel()
            raise


def _parameter(name: str, value: Any) -> Any:  # noqa: ANN401 - one of Google's
    from google.cloud import bigquery

    if isinstance(value, list | tuple):
        return bigquery.ArrayQueryParameter(name, _type(value[0] if value else ""), list(value))
    return bigquery.ScalarQueryParameter(name, _type(value), value)


def _type(value: object) -> str:
    from datetime import date, datetime, time
    from decimal import Decimal

    if isinstance(value, datetime):
        return "DATETIME" if value.tzinfo is None else "TIMESTAMP"
    for kind, named in (
        (bool, "BOOL"), (int, "INT64"), (float, "FLOAT64"), (Decimal, "NUMERIC"),
        (bytes, "BYTES"), (date, "DATE"), (time, "TIME"),
    ):  # fmt: skip
        if isinstance(value, kind):
            return named
    return "STRING"
