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
from loopline.reproduce.basis import find_run, find_version
from loopline.rules.lineage_trees import node_words, tree_lines
from loopline.rules.reason_facts import facts_of
from loopline.tracking.display import box, facts_html, table_html

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["explain", "lineage", "node_of", "spell_out", "why"]


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
    which = spell_out(which)
    address = parse_model_address(which)
    if not isinstance(address, RegistryAddress):
        msg = f"{which!r} is no version of a registered model. Write models:/NAME/Production."
        raise InvalidInputError(msg)
    if address.stage:
        return backend.call(ExplainVersion(name=address.name, stage=address.stage))
    version = find_version(backend, which)
    assert version is not None  # noqa: S101 - it is such an address
    return backend.call(ExplainVersion(name=version.name, version=version.version))


def spell_out(which: str) -> str:
    """Read ``fares`` and ``models:/fares`` as what is in Production, ``fares/3`` as a version."""
    scheme, _, name = which.rpartition("models:/")
    if scheme or ":" in name or not name.strip("/"):
        return which
    return f"models:/{name}" if "/" in name or "@" in name else f"models:/{name}/Production"


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
        kinds = "data:DIGEST, feed:NAME, flow-run:ID, flow:PROJECT/NAME, deployment:ID"
        msg = f"{error} Other things go by their kind: {kinds}."
        raise NotFoundError(msg) from None


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
