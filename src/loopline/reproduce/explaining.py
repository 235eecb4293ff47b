"""``loopline.lineage`` and ``loopline.why``: what led to what, and why a version is where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.models.address import RegistryAddress, parse_model_address
from loopline.records.base import DRAWN
from loopline.records.lineage import Lineage
from loopline.records.operations import ExplainVersion, GetLineage
from loopline.records.reasons import Reasons
from loopline.records.tracking import RunStatus
from loopline.reproduce.basis import find_run, find_version
from loopline.rules.lineage_trees import node_words, tree_lines
from loopline.rules.words import number_words, time_words
from loopline.tracking.display import box, facts_html, table_html

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.predictions import Predictions
    from loopline.records.tracking import Run

__all__ = ["explain", "facts_of", "lineage", "node_of", "why"]

#: Metrics of a comparison that are told.
MOST_METRICS = 6
SAMPLES = "system/"


def lineage(which: str, *, direction: str = "both", depth: int = 5, limit: int = 200) -> Lineage:
    """Tell what led to something, and what came of it.

    Args:
        which: A version such as ``"models:/taxifare_model/3"``, a run's id or name, or a node
            such as ``"data:<digest>"``, ``"flow-run:<id>"`` or ``"flow:<project>/<name>"``.
        direction: ``"up"``, ``"down"`` or ``"both"``.
        depth: How many steps from there, 0 to 20.
        limit: At most so many nodes, 1 to 2,000.

    Returns:
        Nodes and edges; a node says whether there is more than is told.

    Raises:
        NotFoundError: There is no such thing, or you may not view it.
    """
    recorder = get_recorder()
    recorder.catch_up()
    node = node_of(recorder.backend, which)
    return recorder.backend.call(
        GetLineage(node=node, direction=direction, depth=depth, limit=limit)
    )


def why(which: str) -> Reasons:
    """Tell why a model version is where it is: who or what decided, on which data, since when.

    Args:
        which: Such as ``"models:/taxifare_model/Production"``.

    Raises:
        NotFoundError: There is no such version.
        InvalidInputError: It is no address of one.
    """
    recorder = get_recorder()
    recorder.catch_up()
    return explain(recorder.backend, which)


def explain(backend: Backend, which: str) -> Reasons:
    """Tell why a model version of a store is where it is."""
    address = parse_model_address(which)
    if not isinstance(address, RegistryAddress):
        msg = f"{which!r} is no version of a registered model. Write models:/NAME/Production."
        raise InvalidInputError(msg)
    if address.stage:
        return backend.call(ExplainVersion(name=address.name, stage=address.stage))
    version = find_version(backend, which)
    assert version is not None  # noqa: S101 - it is such an address
    return backend.call(ExplainVersion(name=version.name, version=version.version))


def node_of(backend: Backend, which: str) -> str:
    """Name the node that a person means."""
    version = find_version(backend, which)
    if version is not None:
        return f"version:{version.name}/{version.version}"
    if ":" in which and not which.startswith("runs:"):
        return which
    try:
        return f"run:{find_run(backend, which).run_id}"
    except NotFoundError as error:
        msg = f"{error} Other things go by their kind: data:DIGEST, flow-run:ID, flow:PROJECT/NAME."
        raise NotFoundError(msg) from None


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
    until = "now" if one.status is RunStatus.RUNNING else time_words(one.last_ms)
    rows = "1 row" if one.rows == 1 else f"{one.rows:,} rows"
    return f"{rows} from {time_words(one.first_ms)} until {until}, by deployment {one.run_id[:8]}"


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


def _lineage_html(found: Lineage) -> str:
    root = found.nodes[0]
    parts = []
    for direction, heading in (("up", "came of"), ("down", "led to")):
        lines = tree_lines(found, direction)
        if lines:
            parts.append(table_html((heading,), [(line,) for line in lines]))
    return box("Lineage", node_words(root), *parts, note="" if found.is_whole else "there is more")


def _reasons_html(found: Reasons) -> str:
    (_, title), *facts = facts_of(found)
    return box("Why", title, facts_html(facts))


DRAWN[Lineage] = _lineage_html
DRAWN[Reasons] = _reasons_html
