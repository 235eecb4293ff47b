"""``loopline decisions``: what was decided over versions, and a person's yes or no."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import actor, epilog, limit, with_backend
from loopline.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.decisions import KeptDecision

__all__ = ["decisions"]

_decision = click.argument("decision", metavar="ID")
_reason = click.option("--reason", required=True, help="Why, kept in the history.")


@click.command(
    "list",
    epilog=epilog("loopline decisions list", "loopline decisions list --status waiting"),
)
@with_backend
@limit
@click.option("--model", default="", help="Over versions of this model; without: of any.")
@click.option("--status", default="", help="Such as promoted, kept, waiting or overtaken.")
def list_(backend: Backend, *, limit: int, model: str, status: str, as_json: bool) -> None:
    """List decisions, newest first."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListDecisions

    found = backend.call(ListDecisions(name=model, status=status, limit=min(limit, 1000)))
    if as_json:
        print_json(found)
        return
    print_table(
        ("ID", "WHEN", "MODEL", "STAGE", "STATUS", "DECISION", "BY"),
        [
            (
                each.decision_id[:8],
                ago(each.at_ms),
                each.name,
                each.stage,
                each.status.value,
                each.decision.sentence,
                each.actor,
            )
            for each in found
        ],
        empty=(
            "There is no such decision. See all: `loopline decisions list`."
            if model or status
            else "Nothing has been decided yet. `loopline lifecycle turn` decides, and so does "
            "lifecycle.promote(name, decision)."
        ),
    )


@click.command(
    epilog=epilog(
        "loopline decisions show 4f1d02c9",
        "loopline decisions show 4f1d02c9 --picture gains.svg",
    )
)
@_decision
@with_backend
@click.option(
    "--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the gains as SVG."
)
def show(backend: Backend, *, decision: str, picture: Path | None, as_json: bool) -> None:
    """Show a decision with its numbers."""
    from loopline.cli.output import print_facts, print_json, print_table, say
    from loopline.rules.interval_chart import gain_chart
    from loopline.rules.words import number_words, time_words

    kept = find(backend, decision)
    if picture is not None:
        picture.write_text(gain_chart(kept.decision), encoding="utf-8")
        say(f"The picture is in {picture}.")
    if as_json:
        print_json(kept)
        return
    decided, found = kept.decision, kept.decision.comparison
    answered = f"{kept.answered_by}, {time_words(kept.answered_ms)}: {kept.answer}"
    print_facts(
        [
            ("Decision", decided.sentence),
            ("Status", kept.status.value),
            ("Model", f"{kept.name}, {kept.stage}"),
            ("When", f"{time_words(kept.at_ms)}, by {kept.actor or 'somebody'}"),
            ("Policy", f"number {kept.policy}" if kept.policy else ""),
            ("Rows", f"{found.rows:,}" if found else ""),
            ("Champion", f"v{decided.champion}, {found.metric} {number_words(found.champion)}"
             if found else ""),
            ("Challenger", f"v{decided.challenger}, {found.metric} "
             f"{number_words(found.challenger)}" if found else f"v{decided.challenger}"),
            ("Rows unseen", {"feed": "by their places in the feed", "digest":
             "no run of either logged this data version"}.get(decided.unseen, "")),
            ("Data", decided.data[:16]),
            ("Run", kept.run_id),
            ("Flow run", kept.flow_run_id),
            ("Answered", answered if kept.answered_ms else ""),
        ]
    )  # fmt: skip
    if decided.checks:
        click.echo()
        print_table(
            ("GATE", "", "WHAT IT SAYS"),
            [
                (each.gate, "passed" if each.passed else "refused", each.sentence)
                for each in decided.checks
            ],
            empty="",
        )
    slices = [each for check in decided.checks for each in check.slices]
    if slices:
        click.echo()
        print_table(
            ("SLICE", "ROWS", "CHAMPION", "CHALLENGER", "GAIN"),
            [
                (each.value, f"{each.rows:,}", number_words(each.champion),
                 number_words(each.challenger), f"{each.gain * 100:+.1f} %")
                for each in slices
            ],
            empty="",
            right=("ROWS", "CHAMPION", "CHALLENGER", "GAIN"),
        )  # fmt: skip


@click.command(
    epilog=epilog("loopline decisions approve 4f1d02c9 --reason 'looked at the worst rows'")
)
@_decision
@with_backend
@_reason
def approve(backend: Backend, *, decision: str, reason: str, as_json: bool) -> None:
    """Say yes to a decision that waits for it: the version moves."""
    _answer(backend, decision, reason, says_yes=True, as_json=as_json)


@click.command(epilog=epilog("loopline decisions refuse 4f1d02c9 --reason 'too few night rides'"))
@_decision
@with_backend
@_reason
def refuse(backend: Backend, *, decision: str, reason: str, as_json: bool) -> None:
    """Say no to a decision that waits for a yes: nothing moves."""
    _answer(backend, decision, reason, says_yes=False, as_json=as_json)


def _answer(backend: Backend, decision: str, reason: str, *, says_yes: bool, as_json: bool) -> None:
    from loopline.cli.output import print_json
    from loopline.records.decisions import DecisionStatus
    from loopline.records.operations import AnswerDecision

    kept = find(backend, decision)
    kept = backend.call(
        AnswerDecision(decision_id=kept.decision_id, approve=says_yes, reason=reason, actor=actor())
    )
    if as_json:
        print_json(kept)
        return
    version = f"{kept.name} v{kept.decision.challenger}"
    click.echo(
        {
            DecisionStatus.PROMOTED: f"{version} is in {kept.stage} now.",
            DecisionStatus.REFUSED: f"{version} stays where it is.",
            DecisionStatus.OVERTAKEN: f"{version} stays where it is: another version took the "
            "place since they were compared. Compare again.",
        }[kept.status]
    )


def find(backend: Backend, text: str) -> KeptDecision:
    """Find a decision by its id or the first characters of one of the newest.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: Several begin so.
    """
    from loopline.records.operations import GetDecision, ListDecisions

    try:
        return backend.call(GetDecision(decision_id=text))
    except NotFoundError:
        newest = backend.call(ListDecisions(limit=1000))
        found = [each for each in newest if each.decision_id.startswith(text)]
        if len(found) > 1:
            msg = f"{len(found)} decisions begin with {text!r}. Give more of the id."
            raise InvalidInputError(msg) from None
        if not found:
            raise
        return found[0]


decisions = LazyGroup(
    "decisions",
    help="See what was decided over versions, and say yes or no.",
    table={
        "list": (f"{__name__}:list_", "List decisions, newest first."),
        "show": (f"{__name__}:show", "Show a decision with its numbers."),
        "approve": (
            f"{__name__}:approve",
            "Say yes to a decision that waits for it: the version moves.",
        ),
        "refuse": (
            f"{__name__}:refuse",
            "Say no to a decision that waits for a yes: nothing moves.",
        ),
    },
)
