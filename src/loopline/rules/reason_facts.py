"""Why a version is where it is, as a sentence and as names and values that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.records.tracking import RunStatus
from loopline.rules.lineage_trees import node_words
from loopline.rules.words import count_words, number_words, time_words

if TYPE_CHECKING:
    from loopline.records.predictions import Predictions
    from loopline.records.reasons import Reasons
    from loopline.records.tracking import Run

__all__ = ["facts_of", "reason_sentence"]

#: Metrics of a comparison that are told.
MOST_METRICS = 6
SAMPLES = "system/"


def reason_sentence(found: Reasons) -> str:
    """Say in a sentence why a version is where it is, such as "v3 is in Production since ..."."""
    version, decision = found.version, found.decision
    if decision is None:
        return f"v{version.version} was registered, and nobody has moved it."
    said = f"v{version.version} is in {version.stage} since {time_words(decision.at_ms)}"
    if found.before:
        said += f", in the place of v{found.before}"
    return f"{said}. Decided by {found.decided_by}: {decision.reason or 'no reason was given'}."


def facts_of(found: Reasons) -> list[tuple[str, str]]:
    """Tell reasons as names and sentences, those that a person asks for first at the top."""
    version, decision = found.version, found.decision
    facts = [
        ("Version", f"{version.name} v{version.version}"),
        ("Stands in", version.stage),
    ]
    if decision is None:
        facts.append(("Decided by", "nobody: it was registered and never moved"))
        if found.weighed is not None:
            facts.append(("Decision", found.weighed.decision.sentence))
    else:
        facts += [
            ("Since", time_words(decision.at_ms)),
            ("Decided by", found.decided_by),
            ("Reason", decision.reason or "none was given"),
            ("Gates", _gates(found)),
            ("In the place of", f"v{found.before}" if found.before else "nothing"),
        ]
    facts += [
        ("Decided on", "\n".join(one.dataset.name for one in found.compared_on)),
        ("Compared in", "\n".join(_scores(run) for run in found.compared)),
        ("Made by", "" if found.run is None else _run_words(found.run)),
        ("Started by", "\n".join(node_words(node) for node in found.made_by)),
        (
            "Trained on",
            "\n".join(
                f"{one.dataset.name} [{one.dataset.digest[:12]}]"
                + (f", {one.dataset.rows:,} rows" if one.dataset.rows is not None else "")
                for one in found.inputs
            ),
        ),
        ("Code", _code(found.run)),
        ("Predicted", "\n".join(_predicted(one) for one in found.predictions)),
        ("Led to", "\n".join(node_words(node) for node in found.consequences)),
    ]
    return [(name, told) for name, told in facts if told]


def _gates(found: Reasons) -> str:
    if found.weighed is None:
        return ""
    checks = found.weighed.decision.checks
    return "\n".join(
        f"{check.gate}: {'passed' if check.passed else 'failed'}, {check.sentence}"
        for check in checks
    )


def _predicted(one: Predictions) -> str:
    # A running process may answer with another version by now: the last prediction tells.
    runs = " (running)" if one.status is RunStatus.RUNNING else ""
    rows = count_words(one.rows, "row")
    times = f"from {time_words(one.first_ms)} until {time_words(one.last_ms)}"
    return f"{rows} {times}, by deployment {one.run_id[:8]}{runs}"


def _run_words(run: Run) -> str:
    return f"run {run.name or run.run_id[:8]} [{run.run_id[:8]}] of {run.user or 'somebody'}"


def _scores(run: Run) -> str:
    told = [
        f"{key} {number_words(one.value)}"
        for key, one in sorted(run.metrics.items())
        if not key.startswith(SAMPLES)
    ]
    scores = f": {', '.join(told[:MOST_METRICS])}" if told else ""
    return f"run {run.name or run.run_id[:8]} [{run.run_id[:8]}]{scores}"


def _code(run: Run | None) -> str:
    if run is None:
        return ""
    commit = run.tags.get("mlflow.source.git.commit", "")[:12]
    dirty = " with uncommitted changes" if run.tags.get("loopline.git.dirty") == "true" else ""
    source = run.tags.get("mlflow.source.name", "")
    return f"{source}, commit {commit}{dirty}" if commit else source
