"""Tables of a run: one file each that is always whole, however often rows are appended.

The rows are JSON in pandas' ``split`` form, as MLflow has them: an append encodes its own rows
alone and puts them behind those that were there.
"""

from __future__ import annotations

import io
import json
import math
import threading
import uuid
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, MissingExtraError, NotFoundError
from loopline.records.operations import GetRun
from loopline.rules.names import MAX_TAG_VALUE, check_artifact_path, check_text
from loopline.tracking.artifacts import read_artifact
from loopline.tracking.media import image_bytes, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.recorder import Recorder
    from loopline.records.tracking import Run
    from loopline.tracking.files import RunFiles

__all__ = ["LOGGED_ARTIFACTS", "TableLog", "read_table", "read_tables", "tables_in"]

#: What of a run can stand beside its table.
ATTRIBUTES = (
    *("run_id", "run_name", "experiment_id", "experiment_name", "status", "start_time"),
    *("end_time", "user_id", "parent_run_id", "artifact_uri"),
)
#: A tag of MLflow's: which of a run's files are tables, as JSON.
LOGGED_ARTIFACTS = "mlflow.loggedArtifacts"


class _Table:
    """The rows of one table, encoded, in the order they came."""

    def __init__(self, columns: list[str], rows: list[str]) -> None:
        self.columns = columns
        self.rows = rows

    def append(self, columns: list[str], rows: list[list[Any]]) -> None:
        """Put rows behind; columns that either side lacks are null there."""
        new = [name for name in columns if name not in self.columns]
        if new:
            nulls = ", null" * len(new)
            self.rows = [f"{row[:-1]}{nulls if len(row) > 2 else nulls[2:]}]" for row in self.rows]  # noqa: PLR2004 - "[]"
            self.columns = [*self.columns, *new]
        places = {name: index for index, name in enumerate(columns)}
        order = [places.get(name) for name in self.columns]
        self.rows += [
            _encode([None if place is None else row[place] for place in order]) for row in rows
        ]

    def encoded(self) -> bytes:
        """Write the whole table."""
        body = ",\n".join(self.rows)
        return f'{{"columns": {_encode(self.columns)}, "data": [\n{body}\n]}}\n'.encode()


class TableLog:
    """The tables of one run, as far as this process wrote them."""

    def __init__(self, run: RunFiles) -> None:
        self._run = run
        self._tables: dict[str, _Table] = {}
        self._frames: dict[str, Any] = {}
        self._named: list[str] | None = None
        # Two threads that append to a table at once both find their rows in it.
        self._lock = threading.Lock()

    def append(self, data: Any, artifact_file: str) -> None:  # noqa: ANN401
        """Log a table or append to it; see ``RunFiles.log_table``."""
        path = check_artifact_path(artifact_file)
        if not path.endswith((".json", ".parquet")):
            msg = f"A table ends with .json or .parquet, not {path!r}. Rename it."
            raise InvalidInputError(msg)
        columns, rows = _columns_and_rows(data)
        _check_texts(columns, rows)
        with self._lock:
            if path.endswith(".parquet"):
                encoded = self._with_parquet(path, columns, rows)
            else:
                for row in rows:
                    row[:] = [self._cell(value, path) for value in row]
                table = self._tables.get(path) or self._known_table(path)
                table.append(columns, rows)
                self._tables[path] = table
                encoded = table.encoded()
            self._run.log_bytes(encoded, path)
            self._name(path)

    def _known_table(self, path: str) -> _Table:
        known = self._stored(path)
        if known is None:
            return _Table([], [])
        columns, rows = _split(known, path)
        return _Table(columns, [_encode(row) for row in rows])

    def _stored(self, path: str) -> bytes | None:
        """Read what another process, or an earlier one, wrote; None when nobody did."""
        if self._run.is_new:
            return None
        try:
            return read_artifact(self._run.recorder, self._run.run_id, path)
        except NotFoundError:
            return None

    def _with_parquet(self, path: str, columns: list[str], rows: list[list[Any]]) -> bytes:
        pd = _pandas("A table in Parquet")
        frame = pd.DataFrame(rows, columns=columns)
        before = self._frames.get(path)
        if before is None:
            known = self._stored(path)
            before = None if known is None else pd.read_parquet(io.BytesIO(known))
        if before is not None:
            frame = pd.concat([before, frame], ignore_index=True)
        target = io.BytesIO()
        try:
            frame.to_parquet(target, index=False)
        except ImportError:
            raise MissingExtraError("pyarrow", extra="demo", purpose="A table in Parquet") from None
        self._frames[path] = frame
        return target.getvalue()

    def _cell(self, value: Any, path: str) -> Any:  # noqa: ANN401
        """Turn a cell into JSON; a picture becomes a file and the cell says where it is."""
        if hasattr(value, "to_pil") or (hasattr(value, "save") and hasattr(value, "mode")):
            file = f"{path.rpartition('.')[0]}_images/{uuid.uuid4()}.png"
            data = image_bytes(value, ".png")
            if isinstance(data, bytes):
                self._run.log_bytes(data, file)
            return {"type": "image", "filepath": file}
        return _json_value(value)

    def _name(self, path: str) -> None:
        """Note in MLflow's tag that this file is a table."""
        if self._named is None:
            self._named = [] if self._run.is_new else _tables_of_run(self._run)
        if path in self._named:
            return
        named = [*self._named, path]
        text = json.dumps([{"path": name, "type": "table"} for name in named])
        if len(text) <= MAX_TAG_VALUE:  # Past a hundred tables or so they are files like others.
            self._run.set_tag(LOGGED_ARTIFACTS, text)
            self._named = named


def read_table(recorder: Recorder, run_id: str, path: str) -> Any:  # noqa: ANN401 - a DataFrame
    """Read a table of a run as a DataFrame.

    Raises:
        NotFoundError: The run has no such file.
        InvalidInputError: The file is no table.
    """
    pd = _pandas("Reading a table")
    data = read_artifact(recorder, run_id, path)
    if path.endswith(".parquet"):
        return pd.read_parquet(io.BytesIO(data))
    columns, rows = _split(data, path)
    return pd.DataFrame(rows, columns=columns)


def read_tables(recorder: Recorder, runs: Sequence[Run], path: str, extra: list[str]) -> Any:  # noqa: ANN401
    """Read one table of several runs, one below the other.

    Args:
        recorder: Knows the store.
        runs: The runs.
        path: Path of the table in each of them.
        extra: Attributes of the runs to put beside, such as ``"run_id"``, or ``"params.model"``.

    Raises:
        NotFoundError: None of the runs has the table.
        InvalidInputError: Runs have no such attribute.
    """
    pd = _pandas("Reading a table")
    frames = []
    for run in runs:
        frame = read_table(recorder, run.run_id, path)
        for name in extra:
            value = _attribute(run, name)
            if name.endswith("_time") and value is not None:
                value = pd.Timestamp(value, unit="ms", tz="UTC")
            frame[name] = value
        frames.append(frame)
    if not frames:
        msg = f"No run here has a table {path!r}. Log it with log_table(data, {path!r})."
        raise NotFoundError(msg)
    return pd.concat(frames, ignore_index=True)


def _check_texts(columns: list[str], rows: list[list[Any]]) -> None:
    """Refuse half characters, which no file keeps, by the column they are in."""
    for index, name in enumerate(columns):
        for text in (name, *(row[index] for row in rows)):
            if isinstance(text, (list, tuple, dict)):
                text = _encode(_json_value(text))  # noqa: PLW2901 - as it will be written
            if isinstance(text, str) and not text.isascii():
                check_text(f"column {name!r} of the table", text, len(text))


def _attribute(run: Run, name: str) -> Any:  # noqa: ANN401
    prefix, _, key = name.partition(".")
    facts: dict[str, dict[str, Any]] = {
        "params": dict(run.params),
        "tags": dict(run.tags),
        "metrics": dict(run.data.metrics),
    }
    if key and prefix in facts:
        return facts[prefix].get(key)
    if name not in ATTRIBUTES:
        msg = (
            f"Runs have no {name!r} to put beside a table. Take one of {', '.join(ATTRIBUTES)}, or "
            "params.…, tags.… or metrics.…"
        )
        raise InvalidInputError(msg)
    value = getattr(run, name)
    return str(value) if name == "status" else value


def tables_in(tag: str) -> list[str]:
    """List the paths of tables that the tag of a run names."""
    try:
        entries = json.loads(tag)
        return [str(entry["path"]) for entry in entries if entry.get("type") == "table"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def _tables_of_run(run: RunFiles) -> list[str]:
    try:
        tags = run.recorder.call(GetRun(run_id=run.run_id)).tags
    except NotFoundError:
        return []
    return tables_in(tags.get(LOGGED_ARTIFACTS, "[]"))


def _columns_and_rows(data: Any) -> tuple[list[str], list[list[Any]]]:  # noqa: ANN401
    """Take a DataFrame or a dictionary of columns apart."""
    if hasattr(data, "columns") and hasattr(data, "to_dict") and not isinstance(data, dict):
        if hasattr(data, "to_pandas"):  # Polars.
            return [str(name) for name in data.columns], [list(row) for row in data.rows()]
        columns = [data[name].tolist() for name in data.columns]
        return [str(name) for name in data.columns], [
            list(row) for row in zip(*columns, strict=True)
        ]
    if not isinstance(data, dict):
        msg = (
            f"log_table takes a DataFrame or a dictionary of columns, not {type(data).__name__}. "
            'Give it as {"column": [values]}.'
        )
        raise InvalidInputError(msg)
    given = {str(name): _column(values) for name, values in data.items()}
    lengths = {len(values) for values in given.values() if values is not None}
    if not lengths:  # Scalars only: one row.
        return list(given), [list(data.values())] if given else []
    if len(lengths) > 1 or any(values is None for values in given.values()):
        told = ", ".join(
            f"{name}: {'one value' if values is None else len(values)}"
            for name, values in list(given.items())[:8]
        )
        msg = f"The columns of a table have one length; these have {told}."
        raise InvalidInputError(f"{msg} Give as many values in each.")
    return list(given), [list(row) for row in zip(*(given.values()), strict=True)]


def _column(values: Any) -> list[Any] | None:  # noqa: ANN401
    if isinstance(values, (list, tuple)):
        return list(values)
    if hasattr(values, "tolist") and getattr(values, "shape", None):
        found = values.tolist()
        return found if isinstance(found, list) else [found]
    return None


def _json_value(value: Any) -> Any:  # noqa: ANN401
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else (None if math.isnan(value) else str(value))
    if hasattr(value, "isoformat"):
        text = value.isoformat()
        return None if text == "NaT" else text
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    return _json_value(plain(value))


def _encode(value: Any) -> str:  # noqa: ANN401
    return json.dumps(value, ensure_ascii=False)


def _split(data: bytes, path: str) -> tuple[list[str], list[list[Any]]]:
    try:
        found = json.loads(data)
        return [str(name) for name in found["columns"]], list(found["data"])
    except (ValueError, TypeError, KeyError) as error:
        msg = f"{path!r} is no table ({type(error).__name__}). Log the table under another name."
        raise InvalidInputError(msg) from error


def _pandas(purpose: str) -> Any:  # noqa: ANN401
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("pandas", extra="demo", purpose=purpose) from None
    return pd
