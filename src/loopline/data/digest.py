"""Digests of tables and arrays: equal content, equal digest, whichever library holds it.

A table is hashed by *values*, never by how a library lays them out in memory:

- the names of its columns and their order, the number and order of its rows;
- numbers as 64-bit floats where they are whole or float, so that a width (``int32``), or the
  floats that pandas makes of whole numbers with gaps, change nothing; whole numbers past 2**53
  exactly, as integers; -0.0 is 0.0;
- text as UTF-8, whether string, large string, view, dictionary or category;
- times as the instant (with a zone) or the clock's reading (without), in whatever unit; dates,
  times of day and durations likewise; decimals without trailing zeros;
- null, NaN and NaT as the one missing value; a column's type counts for nothing where all is
  missing.

Columns are hashed in blocks of 65,536 rows, so that chunks do not matter and memory is bounded:
the block is part of the format, ``VERSION`` names it. An array is hashed as its type (in
little-endian order), shape and bytes.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import TypeAlias

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Hash: TypeAlias = Any

__all__ = ["TableHasher", "array_digest", "arrays_digest", "blocks_of", "table_digest"]

VERSION = b"loopline table 1\n"
#: Rows hashed together; a change of it changes every digest.
BLOCK_ROWS = 65_536
#: Whole numbers up to here are floats without loss.
EXACT = 2**53
#: Bytes of an array hashed at a time.
ARRAY_BYTES = 1 << 24


def table_digest(table: pa.Table) -> str:
    """Hash an Arrow table by its values; cost grows with its bytes, about a second a gigabyte."""
    hasher = TableHasher(table.column_names)
    for block in blocks_of(table.to_batches()):
        hasher.add(block)
    return hasher.hexdigest()


def blocks_of(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut batches of any size anew, into tables of 65,536 rows and a last one of the rest."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    rows = 0
    for given in batches:
        batch = given
        while rows + batch.num_rows >= BLOCK_ROWS:
            room = BLOCK_ROWS - rows
            yield pa.Table.from_batches([*waiting, batch.slice(0, room)])
            batch = batch.slice(room)
            waiting, rows = [], 0
        if batch.num_rows:
            waiting.append(batch)
            rows += batch.num_rows
    if waiting:
        yield pa.Table.from_batches(waiting)


class TableHasher:
    """Hashes a table that comes in blocks of exactly 65,536 rows, the last one shorter."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._columns = [sha256() for _ in self._names]
        self._rows = 0

    def add(self, block: pa.Table) -> None:
        """Hash the next block."""
        self._rows += block.num_rows
        for hasher, column in zip(self._columns, block.columns, strict=True):
            _feed(hasher, _whole(column))

    def hexdigest(self) -> str:
        """Tell the digest of what was added: 64 hex digits."""
        digest = sha256(VERSION + self._rows.to_bytes(8, "little"))
        for name, hasher in zip(self._names, self._columns, strict=True):
            encoded = name.encode()
            digest.update(len(encoded).to_bytes(4, "little") + encoded + hasher.digest())
        return digest.hexdigest()


def array_digest(array: NDArray[Any]) -> str:
    """Hash an array by its type, shape and bytes; a memory-mapped one is read piece by piece."""
    import numpy as np

    if array.dtype.hasobject:
        from loopline.data.tables import column_of, table_of_columns

        flat = table_of_columns(["values"], [column_of("values", array.ravel())])
        return sha256(f"{array.shape}{table_digest(flat)}".encode()).hexdigest()
    plain = array.dtype.newbyteorder("<")
    hasher = sha256(f"{np.lib.format.dtype_to_descr(plain)}{array.shape}".encode())
    rows = array.reshape(1, -1) if array.ndim == 0 else array
    step = max(1, ARRAY_BYTES // max(1, rows.itemsize * int(np.prod(rows.shape[1:]))))
    for start in range(0, len(rows), step):
        piece = np.ascontiguousarray(rows[start : start + step], dtype=plain)
        hasher.update(piece.view(np.uint8).data if piece.size else b"")
    return hasher.hexdigest()


def arrays_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Hash arrays under names, in the order of the names."""
    lines = sorted(f"{name}\0{array_digest(array)}\n" for name, array in arrays.items())
    return sha256("".join(lines).encode()).hexdigest()


def _whole(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def _feed(hasher: Hash, array: pa.Array) -> None:
    """Hash one column of one block, as (tag, number of rows, mask, values)."""
    import pyarrow as pa
    import pyarrow.types as t

    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        if kind.extension_name.startswith("pandas."):  # Periods are numbers only in there.
            hasher.update(b"E" + str(kind).encode())
        _feed(hasher, array.storage)
    elif array.null_count == len(array):
        _head(hasher, b"0", len(array))
    elif t.is_dictionary(kind):
        _feed(hasher, array.dictionary_decode())
    elif t.is_integer(kind):
        _feed_integers(hasher, array)
    elif t.is_floating(kind):
        _feed_floats(hasher, array)
    elif t.is_boolean(kind):
        _feed_bits(hasher, array)
    elif t.is_decimal(kind):
        _feed_decimals(hasher, array)
    elif t.is_temporal(kind):
        _feed_times(hasher, array)
    elif t.is_struct(kind):
        _feed_struct(hasher, array)
    elif t.is_nested(kind):
        _feed_list(hasher, array)
    else:
        _feed_bytes(hasher, array)


def _head(hasher: Hash, tag: bytes, rows: int, missing: NDArray[np.bool_] | None = None) -> None:
    """Begin a block: what it holds, how many rows, and where values are missing."""
    import numpy as np

    if missing is not None and not missing.any():
        missing = None
    hasher.update(tag + (b"." if missing is None else b"m") + rows.to_bytes(8, "little"))
    if missing is not None:
        hasher.update(np.packbits(missing).tobytes())


def _missing(array: pa.Array) -> NDArray[np.bool_] | None:
    if not array.null_count:
        return None
    mask: NDArray[np.bool_] = array.is_null().to_numpy(zero_copy_only=False)
    return mask


def _numbers(array: pa.Array, filler: object = 0) -> NDArray[Any]:
    """Get the values as NumPy has them, zeros where they are missing."""
    filled = array.fill_null(filler) if array.null_count else array
    values: NDArray[Any] = filled.to_numpy(zero_copy_only=False)
    return values


def _feed_integers(hasher: Hash, array: pa.Array) -> None:
    values = _numbers(array)
    missing = _missing(array)
    if int(values.min()) >= -EXACT and int(values.max()) <= EXACT:
        _head(hasher, b"n", len(array), missing)
        hasher.update(values.astype("<f8").data)
    else:
        is_wide = int(values.max()) >= 1 << 63
        _head(hasher, b"u" if is_wide else b"i", len(array), missing)
        hasher.update(values.astype("<u8" if is_wide else "<i8").data)


def _feed_floats(hasher: Hash, array: pa.Array) -> None:
    import numpy as np

    # Adding 0.0 makes -0.0 the same as 0.0, and a copy that may be written to.
    values = _numbers(array, 0.0).astype("<f8") + 0.0
    missing = np.isnan(values)
    values[missing] = 0.0
    if array.null_count:
        missing |= _missing(array)
    if missing.all():
        _head(hasher, b"0", len(array))
        return
    _head(hasher, b"n", len(array), missing)
    hasher.update(values.data)


def _feed_bits(hasher: Hash, array: pa.Array) -> None:
    import numpy as np

    _head(hasher, b"b", len(array), _missing(array))
    hasher.update(np.packbits(_numbers(array, filler=False)).tobytes())


def _feed_bytes(hasher: Hash, array: pa.Array) -> None:
    """Hash text and binary: all lengths, then all bytes."""
    import pyarrow as pa
    import pyarrow.types as t

    is_text = t.is_string(array.type) or t.is_large_string(array.type)
    is_text = is_text or str(array.type) == "string_view"
    wide = array.cast(pa.large_string() if is_text else pa.large_binary())
    missing = _missing(wide)
    # A slot without a value may have bytes all the same.
    wide = wide.fill_null("" if is_text else b"") if wide.null_count else wide
    _head(hasher, b"t" if is_text else b"x", len(array), missing)
    offsets = _offsets(wide)
    hasher.update((offsets[1:] - offsets[:-1]).astype("<i8").data)
    content = wide.buffers()[2]
    if content is not None:
        hasher.update(memoryview(content)[int(offsets[0]) : int(offsets[-1])])


def _offsets(array: pa.Array) -> NDArray[np.int64]:
    import numpy as np

    where = np.frombuffer(array.buffers()[1], dtype="<i8")
    return where[array.offset : array.offset + len(array) + 1]


def _feed_decimals(hasher: Hash, array: pa.Array) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if array.type.scale == 0:
        try:
            _feed_integers(hasher, array.cast(pa.int64()))
        except pa.ArrowInvalid:  # Past 2**63.
            pass
        else:
            return
    text = array.cast(pa.large_string())
    text = pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1")
    text = pc.replace_substring_regex(text, r"\.$", "")
    hasher.update(b"d")
    _feed_bytes(hasher, text)


def _feed_times(hasher: Hash, array: pa.Array) -> None:
    """Hash dates as days; all else as microseconds, and nanoseconds where there are any."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.types as t

    kind = array.type
    missing = _missing(array)
    if t.is_date(kind):
        _head(hasher, b"D", len(array), missing)
        days = _numbers(array.cast(pa.date32(), safe=False).cast(pa.int32()))
        hasher.update(days.astype("<i8").data)
        return
    if t.is_interval(kind):
        hasher.update(b"I")
        said = [None if value is None else str(tuple(value)) for value in array.to_pylist()]
        _feed_bytes(hasher, pa.array(said, pa.large_string()))
        return
    width = pa.int32() if t.is_time32(kind) else pa.int64()
    ticks = _numbers(array.cast(width)).astype("<i8")
    has_zone = t.is_timestamp(kind) and kind.tz is not None
    tag = {"ti": b"T", "du": b"P"}.get(str(kind)[:2], b"T")
    tag = b"H" if t.is_time(kind) else b"Z" if has_zone else tag
    unit = kind.unit
    if unit == "ns":
        micros, rest = np.divmod(ticks, 1000)
    else:
        micros, rest = ticks * {"s": 1_000_000, "ms": 1000, "us": 1}[unit], None
        if (micros // {"s": 1_000_000, "ms": 1000, "us": 1}[unit] != ticks).any():
            tag, micros = tag.lower() + unit.encode(), ticks  # Too far from 1970 for microseconds.
    _head(hasher, tag, len(array), missing)
    hasher.update(micros.astype("<i8").data)
    if rest is not None and rest.any():
        hasher.update(b"ns" + rest.astype("<i8").data)


def _feed_struct(hasher: Hash, array: pa.Array) -> None:
    _head(hasher, b"s", len(array), _missing(array))
    for index in range(array.type.num_fields):
        name = array.type.field(index).name.encode()
        hasher.update(len(name).to_bytes(4, "little") + name)
        # `flatten` carries the gaps of the struct into its fields, whatever stood under them.
        _feed(hasher, array.flatten()[index])


def _feed_list(hasher: Hash, array: pa.Array) -> None:
    """Hash lists and maps: the length of each, then the values of all one after another."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as t

    plain = array
    if t.is_map(array.type):
        pair = pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])
        plain = array.cast(pa.large_list(pair))
    _head(hasher, b"l", len(plain), _missing(plain))
    lengths = _numbers(pc.list_value_length(plain).cast(pa.int64()))
    hasher.update(lengths.astype("<i8").data)
    values = pc.list_flatten(plain)
    if len(values):
        _feed(hasher, values)
