"""``loopline data``: describing data, and who used them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import as_json as as_json_option
from loopline.cli.options import epilog, limit, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.lineage import DataUses
    from loopline.records.tracking import ColumnProfile, Dataset

__all__ = ["data"]

DIGEST_SHOWN = 12


@click.command(
    epilog=epilog(
        "loopline data describe trips.parquet", "loopline data describe s3://taxi/2022 --json"
    )
)
@click.argument("path")
@as_json_option
def describe(path: str, *, as_json: bool) -> None:
    """Show digest, schema and profile of a file, a folder or a bucket's objects.

    Nothing is recorded.
    """
    from loopline.cli.output import print_facts, print_json, print_table
    from loopline.data import dataset
    from loopline.rules.words import size_words

    found = dataset(path)
    if as_json:
        print_json(found)
        return
    print_facts(
        [
            ("Name", found.name),
            ("Digest", found.digest),
            ("Source", found.source),
            ("Size", None if found.size_bytes is None else size_words(found.size_bytes)),
            ("Rows", None if found.rows is None else f"{found.rows:,}"),
            ("Columns", found.column_count),
            ("Note", _note(found)),
        ]
    )
    if found.profile:
        click.echo()
        print_table(
            ("COLUMN", "TYPE", "NULLS", "MIN", "MEAN", "MEDIAN", "MAX", "TOP"),
            [_row(name, one) for name, one in found.profile.items()],
            empty="",
            right=("NULLS", "MIN", "MEAN", "MEDIAN", "MAX"),
        )


@click.command(
    epilog=epilog("loopline data uses trips.parquet", "loopline data uses 6a9efa68 --json")
)
@click.argument("path_or_digest")
@with_backend
@limit
def uses(backend: Backend, *, path_or_digest: str, as_json: bool, limit: int) -> None:
    """Show which runs and which model versions used data.

    PATH_OR_DIGEST is a file, a folder, a bucket's address, or a digest's first 8 or more digits.
    """
    from loopline.cli.output import print_json
    from loopline.data.uses import digests_of
    from loopline.records.operations import GetDataUses

    digests = digests_of(path_or_digest)
    found = backend.call(GetDataUses(digests=digests, limit=limit))
    if as_json:
        print_json(found)
        return
    _print_uses(found, path_or_digest)


def _print_uses(found: DataUses, asked: str) -> None:
    from loopline.cli.output import ago, print_table, say

    print_table(
        ("RUN", "NAME", "EXPERIMENT", "FOR", "DATA", "STATUS", "STARTED"),
        [
            (
                run.run_id[:8],
                run.name,
                run.experiment_name,
                ", ".join(run.contexts),
                run.dataset,
                run.status.value,
                ago(run.start_ms),
            )
            for run in found.runs
        ],
        empty=f"No run has logged {asked}. Runs do so with loopline.log_input(data).",
    )
    if found.versions:
        click.echo()
        print_table(
            ("MODEL", "VERSION", "STAGE", "FOR", "RUN"),
            [
                (one.name, one.version, one.stage, ", ".join(one.contexts), one.run_id[:8])
                for one in found.versions
            ],
            empty="",
            right=("VERSION",),
        )
    left = found.run_count - len(found.runs), found.version_count - len(found.versions)
    if any(left):
        say(f"And {left[0]:,} more runs, {left[1]:,} more versions: raise --limit to see them.")


def _note(found: Dataset) -> str:
    """Say what the profile rests on, when that is not everything."""
    said = []
    if found.column_count is not None and found.column_count > len(found.profile) > 0:
        said.append(f"the first {len(found.profile)} columns are shown")
    if found.profiled_rows is not None:
        said.append(f"the profile was made of {found.profiled_rows:,} rows")
    if found.sampled_rows is not None:
        said.append(f"medians and top values of a sample of {found.sampled_rows:,}")
    return "; ".join(said)


def _row(name: str, one: ColumnProfile) -> tuple[object, ...]:
    top = ", ".join(f"{item.value} ({item.count:,})" for item in one.top[:3])
    return (
        name,
        one.type,
        f"{one.nulls:,}",
        _said(one.min),
        _said(one.mean),
        _said(one.quantiles.get("50%")),
        _said(one.max),
        top,
    )


def _said(value: float | str | None) -> str:
    from loopline.rules.words import number_words

    if value is None:
        return ""
    return value[:26] if isinstance(value, str) else number_words(value)


data = LazyGroup(
    "data",
    help="Describe data, and see which runs and models used it.",
    table={
        "describe": (
            f"{__name__}:describe",
            "Show digest, schema and profile of a file, a folder or a bucket's objects.",
        ),
        "uses": (f"{__name__}:uses", "Show which runs and which model versions used data."),
    },
)
