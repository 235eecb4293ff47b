"""Feeds: data that grow, what arrived when, what was refused, and the operations on them."""

from __future__ import annotations

from typing import Any, ClassVar

from loopline.records.base import Record
from loopline.records.operation import Operation

__all__ = [
    "AddArrival",
    "Arrival",
    "DeleteFeed",
    "EnsureFeed",
    "FeedGap",
    "FeedReport",
    "FeedSpec",
    "GetFeed",
    "ListArrivals",
    "ListFeeds",
    "ListRefusals",
    "RefuseBatch",
    "RefusedBatch",
    "RegisteredFeed",
]


class FeedSpec(Record, frozen=True, kw_only=True):
    """Where a feed's rows come from, and how new ones are told.

    Attributes:
        source: URL of a warehouse.
        table: Name of the table there.
        own: The feed writes the table itself, and numbers its rows.
        order_by: Column with a row's place in time, or in another order.
        key: Columns that tell a row from all others.
        ingested_at: Column with the time a row came into the source.
        contract: What every batch keeps to: for each column its rules, such as ``{"min": 0}``.
        has_code_contract: Code has a contract that cannot be written down here.
        max_gap_s: Seconds in ``order_by`` without any row that are reported; 0: none are.
    """

    source: str
    table: str
    own: bool = False
    order_by: str = ""
    key: list[str] = []
    ingested_at: str = ""
    contract: dict[str, dict[str, Any]] = {}
    has_code_contract: bool = False
    max_gap_s: float = 0.0


class Arrival(Record, frozen=True, kw_only=True):
    """Rows that came into a feed together.

    Attributes:
        number: Counted from 1.
        first: Number of the first row, counted from 0 over the whole feed.
        rows: How many came.
        at_ms: When they were found, Unix time in milliseconds.
        late: Rows whose place lies before that of a row that was there already.
        duplicates: Rows beyond the first with a key (without a key: that equal another of them).
        without_place: Rows without a value in ``order_by``.
        order_from: Least value of ``order_by``; None: there is none.
        order_until: Greatest value.
        ingested_until: Greatest value of ``ingested_at``, as text.
        columns: Columns with their types.
        changes: What about the columns differs from the arrival before, in words.
        keys: SHA-256 of the blob with the rows' keys and numbers; empty: they have none.
        content: Digest of what was appended; empty when not known.
        flow_run_id: The flow run that found them.
    """

    number: int = 0
    first: int
    rows: int
    at_ms: int = 0
    late: int = 0
    duplicates: int = 0
    without_place: int = 0
    order_from: int | float | str | None = None
    order_until: int | float | str | None = None
    ingested_until: str = ""
    columns: dict[str, str] = {}
    changes: list[str] = []
    keys: str = ""
    content: str = ""
    flow_run_id: str = ""


class RefusedBatch(Record, frozen=True, kw_only=True):
    """A batch that broke the contract; nothing of it is in the feed.

    Attributes:
        batch: What it is called.
        problems: What was wrong with it, a sentence each.
        content: Digest of the batch, a data version whose bytes are kept.
        run_id: The run whose artifacts the bytes are.
    """

    batch: str
    at_ms: int = 0
    rows: int
    problems: list[str]
    content: str = ""
    run_id: str = ""


class RegisteredFeed(Record, frozen=True, kw_only=True):
    """A feed, as the store knows it.

    Attributes:
        project: Whose it is; empty: nobody's in particular.
        rows: Rows that have arrived: also the number that the next one gets.
        arrivals: How often rows arrived.
        refused: How many batches were refused.
        order_until: Greatest value of ``order_by`` so far.
        columns: Columns with their types, as of the last arrival.
    """

    name: str
    project: str = ""
    spec: FeedSpec
    created_ms: int = 0
    rows: int = 0
    arrivals: int = 0
    refused: int = 0
    order_until: int | float | str | None = None
    columns: dict[str, str] = {}
    last_ms: int = 0


class FeedGap(Record, frozen=True, kw_only=True):
    """A stretch of ``order_by`` in which there is no row, longer than the feed may have."""

    since: int | float | str
    until: int | float | str


class FeedReport(Record, frozen=True, kw_only=True):
    """What is to be known of a feed's rows before one trains on them.

    Attributes:
        late: Rows whose place lay before that of a row that was there already.
        duplicates: Rows beyond the first with their key.
        without_place: Rows without a value in ``order_by``.
        gone: Rows that arrived and are in the source no more.
        repeats: Arrivals with the very content of an earlier one, as ``[later, earlier]``.
        changes: Of columns, by the number of the arrival that brought them.
        gaps: The first thousand.
        refused: Batches that broke the contract, newest first.
    """

    name: str
    rows: int
    arrivals: int
    late: int = 0
    duplicates: int = 0
    without_place: int = 0
    gone: int = 0
    repeats: list[list[int]] = []
    changes: dict[int, list[str]] = {}
    gaps: list[FeedGap] = []
    refused: list[RefusedBatch] = []

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to look at."""
        return not (
            self.late or self.duplicates or self.without_place or self.gone or self.repeats
            or self.changes or self.gaps or self.refused
        )  # fmt: skip


class EnsureFeed(Operation[RegisteredFeed], frozen=True, kw_only=True):
    """Make a feed, or say anew what it is; how its rows are told stays, once it has any."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    project: str = ""
    spec: FeedSpec


class GetFeed(Operation[RegisteredFeed], frozen=True, kw_only=True):
    """Get a feed."""

    name: str


class ListFeeds(Operation[list[RegisteredFeed]], frozen=True, kw_only=True):
    """List feeds by name."""


class DeleteFeed(Operation[RegisteredFeed], frozen=True, kw_only=True):
    """Forget a feed and what arrived; its source and its data versions stay."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str


class AddArrival(Operation[RegisteredFeed], frozen=True, kw_only=True):
    """Say that rows arrived: they begin where the feed ended, or somebody else was faster."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    arrival: Arrival


class ListArrivals(Operation[list[Arrival]], frozen=True, kw_only=True):
    """List what arrived, oldest first.

    Attributes:
        after: Only arrivals with a greater number.
        limit: At most so many, 1 to 10,000.
    """

    name: str
    after: int = 0
    limit: int = 1000


class RefuseBatch(Operation[RefusedBatch], frozen=True, kw_only=True):
    """Note a refused batch; the same content, refused again, is the one that is noted."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    refused: RefusedBatch


class ListRefusals(Operation[list[RefusedBatch]], frozen=True, kw_only=True):
    """List refused batches, newest first."""

    name: str
    limit: int = 100
