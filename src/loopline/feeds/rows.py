"""Rows of a feed: exactly which, and the rows themselves when they are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from loopline.rules.watermarks import region_words, source_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    import pyarrow as pa

    from loopline.data.versions import HeldDataset
    from loopline.feeds.sources import Source, Statement
    from loopline.records.feeds import Arrival
    from loopline.rules.watermarks import Region

__all__ = ["FeedRows"]

CHUNK_SIZE = 100_000


class FeedRows:
    """Rows of a feed, which are a data version: a run that logs them has seen them.

    Nothing is read before it is asked for. ``loopline.log_input`` takes them as they are.

    Attributes:
        feed: Name of the feed.
        region: Which rows, by their numbers and places.
    """

    def __init__(
        self, feed: str, region: Region, source: Source, arrivals: tuple[Arrival, ...]
    ) -> None:
        self.feed = feed
        self.region = region
        self._source = source
        self._arrivals = arrivals

    @cached_property
    def rows(self) -> int:
        """How many there are."""
        if not self.region:
            return 0
        return int(self.aggregate("count(*) AS n", {})["n"])

    def __len__(self) -> int:
        return self.rows

    def __bool__(self) -> bool:
        return self.rows > 0

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def name(self) -> str:
        """What the data version is called."""
        words = region_words(self.region)
        if len(words) > _MOST_WORDS:
            from hashlib import sha256

            mark = sha256(words.encode()).hexdigest()[:12]
            words = f"{words[:_MOST_WORDS]}… ({mark})"
        return f"{self.feed} {words}"

    def aggregate(self, what: str, params: dict[str, Any]) -> dict[str, Any]:
        """Ask aggregates over the rows, which are called ``r``; answers one row."""
        asked = self._source.select(self.region, self._arrivals, what)
        found = self._source.warehouse.query(asked.sql, {**asked.params, **params})
        return found.rows()[0]

    @cached_property
    def table(self) -> pa.Table:
        """The rows as an Arrow table, by place and then in the order they arrived."""
        return self._source.warehouse.query(*self._statement()).table

    def batches(self, chunk_size: int = CHUNK_SIZE) -> Iterator[pa.RecordBatch]:
        """Give the rows in batches of at most ``chunk_size``, in the same order."""
        return self._source.warehouse.stream(*self._statement(), chunk_size=chunk_size)

    def to_pandas(self) -> pd.DataFrame:
        """Give the rows as a data frame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    @cached_property
    def _version(self) -> HeldDataset:
        from loopline.data.versions import dataset

        source = source_text(self.feed, self.region)
        return dataset(self.table, name=self.name[:500], source=source)

    def dataset(self) -> HeldDataset:
        """Describe the rows as a data version; its source says which rows of the feed they are."""
        return self._version

    @property
    def digest(self) -> str:
        """Content digest of the rows."""
        return self._version.digest

    def _statement(self) -> Statement:
        return self._source.select(self.region, self._arrivals, ordered=True)


_MOST_WORDS = 200
