"""Operations on the graph of what led to what."""

from __future__ import annotations

from loopline.records.lineage import Lineage
from loopline.records.operation import Operation
from loopline.records.reasons import Reasons

__all__ = ["ExplainVersion", "GetLineage"]


class GetLineage(Operation[Lineage], frozen=True, kw_only=True):
    """Tell what led to something, and what came of it, as far as the caller may view it.

    Attributes:
        node: Such as ``"version:taxifare_model/3"``, ``"run:<id>"``, ``"data:<digest>"``,
            ``"flow-run:<id>"``, ``"flow:<project>/<name>"`` or ``"stage:<model>/Production"``.
        direction: ``"up"``, ``"down"`` or ``"both"``.
        depth: How many steps from the node, 0 to 20.
        limit: At most so many nodes, 1 to 2,000.
    """

    node: str
    direction: str = "both"
    depth: int = 5
    limit: int = 200


class ExplainVersion(Operation[Reasons], frozen=True, kw_only=True):
    """Tell why a model version is where it is: who or what decided, on which data, and since when.

    Attributes:
        name: Of the registered model.
        version: Its number; 0: the one that ``stage`` means.
        stage: Such as ``"Production"``.
    """

    name: str
    version: int = 0
    stage: str = ""
