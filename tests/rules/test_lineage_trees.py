"""A part of the graph is drawn as a tree, and a card tells of slices apart."""

from __future__ import annotations

from tests.rules.test_differences import basis, summary, trips

from loopline.records.lineage import Lineage, LineageEdge, LineageNode
from loopline.records.reasons import Reasons
from loopline.records.registry import ModelVersion
from loopline.rules.lineage_trees import tree_lines
from loopline.rules.model_cards import card


def node(name: str, *, more: bool = False) -> LineageNode:
    kind, _, key = name.partition(":")
    return LineageNode(node=name, kind=kind, key=key, title=key, has_more_down=more)


def edge(source: str, target: str, label: str = "") -> LineageEdge:
    return LineageEdge(source=source, target=target, label=label)


def test_what_is_reached_twice_is_drawn_once_and_what_is_left_out_is_said() -> None:
    found = Lineage(
        root="data:trips",
        nodes=[
            node("data:trips", more=True),
            node("run:a"),
            node("run:b"),
            node("version:m/1"),
            node("stage:m/Production"),
        ],
        edges=[
            edge("data:trips", "run:a", "training"),
            edge("data:trips", "run:b", "training"),
            edge("run:a", "version:m/1", "made"),
            edge("run:b", "version:m/1"),
            edge("version:m/1", "stage:m/Production"),
        ],
    )
    assert tree_lines(found, "down") == [
        "├─ run a (training)",
        "│  └─ version m/1 (made)",
        "│     └─ stage m/Production",
        "├─ run b (training)",
        "│  └─ version m/1 (see above)",
        "└─ … more: raise --depth or --limit",
    ]
    assert tree_lines(found, "up") == []


def test_metrics_of_slices_stand_apart_and_texts_cannot_become_markup() -> None:
    rests_on = basis(
        metrics={"rmse": summary(3.5), "rmse/zone=Queens": summary(4.5), "system/cpu": summary(9)},
        params={"note": "<b>|x\nsecond line"},
        inputs=[trips("a" * 64)],
    )
    version = ModelVersion(
        name="fares", version=3, run_id="a" * 32, artifact_path="model", digest="d",
        created_ms=1, updated_ms=1,
    )  # fmt: skip
    text = card(rests_on, Reasons(version=version), {})
    assert "| rmse | 3.5 |" in text
    assert "| zone=Queens | rmse | 4.5 |" in text
    assert "system/cpu" not in text
    assert "| note | \\<b\\>\\|x second line |" in text
