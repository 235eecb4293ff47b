"""Drift: how rows of now differ from those that a model learnt from."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.data.formats import format_of, stream_file
from loopline.data.sketches import sketch_of_profile, sketch_tables
from loopline.data.tables import as_table
from loopline.errors import InvalidInputError, MissingExtraError
from loopline.lifecycle.unseen import trained_on
from loopline.records.base import DRAWN
from loopline.records.drift import DATA_TAG, SENTENCE_TAG, VERSION_TAG, DriftReport
from loopline.records.tracking import Dataset
from loopline.registry import get_version
from loopline.rules.drift import Numbers, compare_columns
from loopline.rules.drift_report import report_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.rules.drift import Column, Thresholds

__all__ = ["drift", "log_drift"]

DRAWN[DriftReport] = report_body

#: Rows of a table that are looked at together.
TOGETHER = 1 << 16


def drift(
    now: Any,  # noqa: ANN401 - see ``_sketch``
    against: Any,  # noqa: ANN401 - see ``_sketch``
    *,
    columns: Sequence[str] | None = None,
    thresholds: Thresholds | None = None,
) -> DriftReport:
    """Compare rows with those before, column by column.

    Args:
        now: A table (pandas, Arrow, …), the path of a Parquet, Arrow or CSV file, or rows of a
            feed. Predictions and errors are columns like others.
        against: The same; a data version, of which the profile is enough; or a model version such
            as ``"models:/taxifare_model/Production"``: what its run read for training.
        columns: Which ones; left out, all that both have but times, which always move on.
        thresholds: When a difference counts; see ``Thresholds``.

    Returns:
        The report; in a notebook it is drawn.

    Raises:
        InvalidInputError: One of the two is nothing that has rows, or they have no column in
            common.
        MissingExtraError: PyArrow or NumPy is not installed.
    """
    _need_tables()
    new_rows, new, name, *_, data = _sketch(now)
    old_rows, old, other, version, _ = _sketch(against)
    if columns is not None:
        missing = [each for each in columns if each not in new or each not in old]
        if missing:
            where = "now" if missing[0] not in new else "before"
            there = ", ".join(each for each in new if each in old)
            msg = (
                f"There is no column {missing[0]!r} to compare in the rows of {where}. "
                f"Both have {there or 'none in common'}."
            )
            raise InvalidInputError(msg)
        new = {each: new[each] for each in columns}
        old = {each: old[each] for each in columns}
    else:
        new, old = ({n: c for n, c in each.items() if not _is_time(c)} for each in (new, old))
    if not set(new) & set(old):
        msg = (
            "The two have no column in common to compare. Now there are "
            f"{', '.join(list(new)[:5]) or 'none'}, before {', '.join(list(old)[:5]) or 'none'}."
        )
        raise InvalidInputError(msg)
    return DriftReport(
        rows_before=old_rows,
        rows_now=new_rows,
        columns=compare_columns(old, new, thresholds),
        only_before=sorted(set(old) - set(new)),
        only_now=sorted(set(new) - set(old)),
        name=name,
        against=other,
        data=data,
        version=version,
    )


def _need_tables() -> None:
    for package in ("pyarrow", "numpy"):
        if find_spec(package) is None:
            raise MissingExtraError(package, extra="data", purpose="Comparing rows")


def _is_time(column: Column) -> bool:
    return isinstance(column, Numbers) and column.is_time


def log_drift(report: DriftReport, *, step: int = 0) -> None:
    """Log a report into the active run: its numbers as metrics, itself as a page."""
    from loopline.rules.drift_report import report_page
    from loopline.tracking import fluent

    fluent.log_metrics(report.metrics(), step=step)
    tags = {SENTENCE_TAG: report.sentence, VERSION_TAG: report.version, DATA_TAG: report.data}
    fluent.set_tags({key: value for key, value in tags.items() if value})
    fluent.log_text(report_page(report), f"drift/drift-{step}.html")


class _Sketch(NamedTuple):
    """What is known of rows.

    Attributes:
        version: The model version that learnt from them, such as ``"taxifare_model/3"``.
        data: Their digest; empty when they are no data version.
    """

    rows: int
    columns: dict[str, Column]
    name: str
    version: str = ""
    data: str = ""


def _sketch(given: Any) -> _Sketch:  # noqa: ANN401 - told apart here
    """Sketch whatever has rows."""
    if isinstance(given, str) and given.startswith("models:/"):
        return _sketch_of_version(given)
    if isinstance(given, Dataset) and getattr(given, "held", None) is None:
        if not given.profile:
            msg = f"The data version {given.name!r} has no profile to compare with."
            raise InvalidInputError(msg)
        return _Sketch(given.rows or 0, sketch_of_profile(given), given.name, data=given.digest)
    if isinstance(given, str | Path):
        return _sketch_of_file(Path(given))
    name = str(getattr(given, "name", "") or "")
    if hasattr(given, "table") and hasattr(given, "dataset"):  # Rows of a feed.
        given = given.table() if callable(given.table) else given.table
    table = as_table(given.to_pandas() if _is_part(given) else given)
    columns = sketch_tables(table.schema, table.to_batches(max_chunksize=TOGETHER))
    digest = getattr(given, "digest", "")
    return _Sketch(table.num_rows, columns, name, data=digest if isinstance(digest, str) else "")


def _is_part(given: Any) -> bool:  # noqa: ANN401
    return hasattr(given, "dataset") and hasattr(given, "to_pandas")


def _sketch_of_file(path: Path) -> _Sketch:
    if not path.is_file():
        msg = f"No file {str(path)!r}. Give a Parquet, Arrow or CSV file, or a table."
        raise InvalidInputError(msg)
    if not format_of(path.name):
        msg = f"{path.name} is no table that can be read. Give a Parquet, Arrow or CSV file."
        raise InvalidInputError(msg)
    stream = stream_file(path.name, path)
    rows = 0

    def counted() -> Any:  # noqa: ANN401 - batches
        nonlocal rows
        for batch in stream.batches():
            rows += batch.num_rows
            yield batch

    columns = sketch_tables(stream.schema, counted())
    return _Sketch(rows, columns, path.name)


def _sketch_of_version(uri: str) -> _Sketch:
    """Take what the run of a model version read for training."""
    from loopline.models.address import RegistryAddress, parse_model_address

    address = parse_model_address(uri)
    if not isinstance(address, RegistryAddress):
        msg = f"{uri} names no registered version. Write models:/name/Production or models:/name/3."
        raise InvalidInputError(msg)
    version = get_version(
        address.name, address.version or None, stage=address.stage, alias=address.alias
    )
    learnt = [each.dataset for each in trained_on(version) if each.dataset.profile]
    if not learnt:
        msg = (
            f"v{version.version} of {version.name} has no training data with a profile on record. "
            'Log them: loopline.log_input(data, context="training"). Or give the rows themselves.'
        )
        raise InvalidInputError(msg)
    largest = max(learnt, key=lambda data: data.rows or 0)
    learnt_from = _sketch(largest)
    return learnt_from._replace(
        name=f"{learnt_from.name}, which v{version.version} learnt from",
        version=f"{version.name}/{version.version}",
    )
