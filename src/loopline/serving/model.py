"""One version of a model, loaded: it reads requests, and answers several of them at once."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import InvalidInputError, LooplineError
from loopline.models.enforce import enforce_params
from loopline.models.signature import is_array, is_series, is_table
from loopline.serving import plain
from loopline.serving.errors import BadDataError, MediaTypeError, PredictError
from loopline.serving.rows import RowReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loopline.models.pyfunc import PyFuncModel

__all__ = ["Content", "ServedModel", "SplitError", "load_served"]

log = logging.getLogger("loopline.serving")

#: Types of a column as NumPy has them; what is not here is left to pandas.
_DTYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
}

#: What a model's metadata say where its rows may, or may not, be gathered over requests.
BATCHING = "batching"


class Content(NamedTuple):
    """What a request asks, read and checked.

    Attributes:
        rows: In the signature's order of columns; None when ``data`` has them.
        data: As the model takes them; None when ``rows`` has them.
        size: Rows, or 1 where there are none to count.
        options: Parameters of ``predict``, defaults filled in.
    """

    rows: list[tuple[Any, ...]] | None
    data: Any
    size: int
    options: dict[str, Any]


class ServedModel:
    """A version that can be asked.

    Attributes:
        name: What it is served as.
        version: Its number in the registry; empty for a folder or a run's model.
        can_batch: Rows of several requests may go into one ``predict``.
        example: Body of a request that it takes, from its input example; empty: it has none.
    """

    def __init__(
        self,
        name: str,
        version: str,
        model: PyFuncModel,
        *,
        example: bytes = b"",
        can_batch: bool | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.model = model
        self.example = example
        signature = model.signature
        self.inputs = None if signature is None else signature.inputs
        self._params = () if signature is None else signature.params
        self._defaults = enforce_params(None, self._params)
        self._reader = RowReader.of(self.inputs)
        self._index: Any = None
        if can_batch is None:
            said = (model.metadata.metadata or {}).get(BATCHING)
            # What users wrote themselves may look at all rows at once, or keep a state.
            library = set(model.metadata.flavors) - {"python_function"}
            can_batch = bool(library) if said is None else bool(said)
        self.can_batch = can_batch

    def read(self, body: bytes, content_type: str) -> Content:
        """Read a request.

        Raises:
            MediaTypeError: It is of a type that is not read here.
            BadDataError: With field and row, where there are such.
        """
        if self._reader is not None and content_type == "application/json":
            found = self._reader.read(body)
            if found is not None:
                rows, params = found
                return Content(rows, None, len(rows), self._options(params) if params else {})
        return self._read_plain(body, _media_type(content_type))

    def _read_plain(self, body: bytes, media_type: str) -> Content:
        params: dict[str, Any] | None = None
        if media_type == "application/json":
            data, params = plain.read_json(body, self.inputs)
        elif media_type == "text/csv":
            data = plain.read_csv(body, self.inputs)
        else:
            from loopline.serving import arrow

            data = plain.enforced(arrow.read(body, media_type), self.inputs)
        return Content(None, data, _length(data), self._options(params))

    def _options(self, params: dict[str, Any] | None) -> dict[str, Any]:
        """Check parameters; a model that has none takes no notice of them, as in MLflow."""
        if not self._params:
            return {}
        try:
            return enforce_params(params, self._params)
        except InvalidInputError as error:
            raise BadDataError(str(error)) from None

    def can_join(self, first: Content, other: Content) -> bool:
        """Whether two requests can be one question to the model."""
        return (
            self.can_batch
            and first.rows is not None
            and other.rows is not None
            and first.options == other.options
        )

    def predict(self, contents: Sequence[Content]) -> list[Any]:
        """Ask the model once for all requests; return each one's part.

        Raises:
            PredictError: The model failed, on whichever of them.
        """
        first = contents[0]
        if first.rows is None:
            data, total = first.data, first.size
        else:
            rows = first.rows
            if len(contents) > 1:
                rows = [row for content in contents for row in content.rows or ()]
            data, total = self._frame(rows), len(rows)
        options = first.options or self._defaults
        try:
            found = self.model.predict_checked(data, options)
        except LooplineError as error:
            raise PredictError(str(error)) from error
        except Exception as error:
            log.debug("The model failed", exc_info=True)
            msg = (
                f"The model failed on these data: {type(error).__name__}: {error}. Check that they "
                "are what it was trained on."
            )
            raise PredictError(msg) from error
        if len(contents) == 1:
            return [found]
        return _parts(found, [content.size for content in contents], total)

    def _frame(self, rows: list[tuple[Any, ...]]) -> Any:  # noqa: ANN401 - a DataFrame
        """Make the table of rows: for columns of one type without a copy."""
        import numpy as np
        import pandas as pd

        assert self._reader is not None  # noqa: S101 - it read them
        assert self.inputs is not None  # noqa: S101 - or there were no reader
        if self._reader.numbers:
            if self._index is None:
                self._index = pd.Index(self._reader.names)
            array = np.array(rows, dtype=self._reader.numbers)
            return pd.DataFrame(array, columns=self._index, copy=False)
        columns = zip(self.inputs.columns, zip(*rows, strict=True), strict=True)
        return pd.DataFrame(
            {
                column.name: np.array(values, dtype=_DTYPES[column.type])
                if column.type in _DTYPES
                else list(values)
                for column, values in columns
            }
        )

    def warm(self) -> None:
        """Ask it its own example once, so that the first request finds everything loaded."""
        if not self.example:
            return
        try:
            self.predict([self.read(self.example, "application/json")])
        except LooplineError as error:
            log.warning("%s does not answer its input example: %s", self, error)

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


class SplitError(Exception):
    """What a model gave for the rows of several requests does not have a part for each row."""


def load_served(
    folder: Path,
    name: str,
    version: str,
    *,
    allow_pickle: bool = False,
    can_batch: bool | None = None,
) -> ServedModel:
    """Load a version from its folder, and warm it with its input example.

    Raises:
        LooplineError: It cannot be loaded; the message says why.
    """
    from loopline.models import pyfunc

    model = pyfunc.load_model(folder, allow_pickle=allow_pickle)
    info = model.metadata.saved_input_example_info or {}
    served = ServedModel(name, version, model, example=_example(folder, info), can_batch=can_batch)
    served.warm()
    return served


def _example(folder: Path, info: dict[str, Any]) -> bytes:
    from loopline.models.mlmodel import inside

    path = info.get("serving_input_path")
    if not path:
        return b""
    try:
        text = inside(folder, str(path)).read_bytes()
        return text if isinstance(json.loads(text), dict) else b""
    except (LooplineError, OSError, ValueError):
        return b""


def _media_type(content_type: str) -> str:
    """Take the media type out of a header.

    Raises:
        MediaTypeError: It has a charset or parameters that are not read here.
    """
    media_type, *parts = [part.strip() for part in content_type.split(";")]
    for part in parts:
        key, _, value = part.partition("=")
        if key.strip().lower() != "charset":
            msg = f"Content-Type has the parameter {key!r}, and only charset=utf-8 is known."
            raise MediaTypeError(msg)
        if value.strip('" ').lower() not in {"utf-8", "utf8"}:
            msg = f"The body must be UTF-8, not {value}."
            raise MediaTypeError(msg)
    return media_type.lower()


def _length(data: Any) -> int:  # noqa: ANN401 - any kind of data
    if isinstance(data, dict):
        data = next(iter(data.values()), ())
    return len(data) if hasattr(data, "__len__") and not isinstance(data, str) else 1


def _parts(found: Any, counts: list[int], total: int) -> list[Any]:  # noqa: ANN401 - any answer
    """Cut an answer into parts of so many rows.

    Raises:
        SplitError: It does not have one row for each.
    """
    if isinstance(found, dict):
        columns = {name: _parts(value, counts, total) for name, value in found.items()}
        return [{name: parts[at] for name, parts in columns.items()} for at in range(len(counts))]
    rowed = isinstance(found, list) or is_table(found) or is_series(found) or is_array(found)
    if not rowed or len(found) != total:
        raise SplitError
    cut = found.iloc if is_table(found) or is_series(found) else found
    parts, begin = [], 0
    for count in counts:
        parts.append(cut[begin : begin + count])
        begin += count
    return parts
