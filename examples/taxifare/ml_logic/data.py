"""The trips: months joined in order, each a chunk that is read, cleaned and prepared whole."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

from loopline.demo import find_taxi_data
from taxifare.ml_logic.preprocess import COLUMNS, CleaningReport, clean, make_features

if TYPE_CHECKING:
    import pandas as pd

    from loopline.demo import Months

__all__ = ["Chunk", "Trips", "chunk_at", "chunk_of", "chunks", "chunks_from", "load", "source"]


class Chunk(NamedTuple):
    """A month of trips: rows ``first_row`` to before ``next_row`` of all months joined."""

    month: str
    first_row: int
    next_row: int


class Trips(NamedTuple):
    """Trips that a model can learn from.

    Attributes:
        features: One row a trip, one column a feature.
        fares: What each cost, in dollars.
        report: What cleaning took away, and why.
    """

    features: pd.DataFrame
    fares: pd.Series[float]
    report: CleaningReport


@lru_cache(maxsize=4)
def source(folder: str | None = None) -> Months:
    """Find the months of trips: ``folder`` or warehouse, the cache, TLC's site, a made-up city."""
    return find_taxi_data(folder)


@lru_cache(maxsize=4)
def chunks(folder: str | None = None) -> tuple[Chunk, ...]:
    """List the months with the rows they are, without reading them."""
    trips = source(folder)
    ends = accumulate((trips.count_rows(month) for month in trips.months), initial=0)
    pairs = zip(trips.months, pairwise(ends), strict=True)
    return tuple(Chunk(month, first, after) for month, (first, after) in pairs)


def chunk_of(month: str, folder: str | None = None) -> Chunk:
    """Find the chunk of a month such as ``"2022-03"``."""
    known = {chunk.month: chunk for chunk in chunks(folder)}
    if month not in known:
        msg = f"No trips of month {month!r}. There are {', '.join(known)}."
        raise ValueError(msg)
    return known[month]


def chunk_at(first_row: int, folder: str | None = None) -> Chunk:
    """Find the chunk that begins at a row of all months joined."""
    known = {chunk.first_row: chunk for chunk in chunks(folder)}
    if first_row not in known:
        rows = ", ".join(f"{row} ({chunk.month})" for row, chunk in known.items())
        msg = f"No month begins at row {first_row}. Months begin at {rows}."
        raise ValueError(msg)
    return known[first_row]


def chunks_from(first_row: int, most: int, folder: str | None = None) -> list[Chunk]:
    """List the chunk that begins at a row and those after it, ``most`` in all."""
    chunk_at(first_row, folder)
    return [chunk for chunk in chunks(folder) if chunk.first_row >= first_row][:most]


@lru_cache(maxsize=4)  # A month is training data twice and is scored before: read it once.
def load(chunk: Chunk, folder: str | None = None) -> Trips:
    """Read and clean a month of trips, and make features of them."""
    raw = source(folder).read(chunk.month, COLUMNS)
    kept, report = clean(raw, chunk.month)
    return Trips(make_features(kept), kept["fare_amount"], report)
