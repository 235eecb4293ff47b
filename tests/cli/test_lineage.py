"""`loopline lineage`, `loopline why` and model cards over the taxi-fare story."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.server import story

import loopline
from loopline.errors import InvalidInputError, NotFoundError
from loopline.rules.model_cards import written_by_people

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell

PRODUCTION = f"models:/{story.MODEL}/Production"


def test_a_version_is_drawn_with_what_led_to_it_and_what_came_of_it(shell: Shell) -> None:
    ran = shell("lineage", PRODUCTION)
    assert ran.code == 0
    head, *lines = ran.out.splitlines()
    assert head.startswith(f"version {story.MODEL} v")
    assert lines[0] == "came of"
    assert lines[1].startswith("└─ run ")
    assert any(f"stage {PRODUCTION}" in line for line in lines)


def test_one_way_and_few_steps_can_be_asked_for(shell: Shell) -> None:
    up = shell("lineage", PRODUCTION, "--up", "--depth", "1").out
    assert "led to" not in up
    down = shell("lineage", PRODUCTION, "--down", "--json").json
    assert [node["kind"] for node in down["nodes"]] == ["version", "stage"]
    assert down["edges"][0]["target"] == f"stage:{story.MODEL}/Production"


def test_what_is_no_node_is_refused_with_the_forms_there_are(shell: Shell) -> None:
    ran = shell("lineage", "planet:earth")
    assert ran.code == 1
    assert "data:..." in ran.err
    assert "flow-run:ID" in shell("lineage", "nothing").err


def test_why_tells_the_decision_and_the_run(shell: Shell) -> None:
    ran = shell("why", PRODUCTION)
    assert ran.code == 0
    facts = dict(line.split("  ", 1) for line in ran.out.splitlines() if not line[0].isspace())
    assert facts["Stands in"].strip() == "Production"
    assert {"Since", "Decided by", "Reason", "Made by"} <= facts.keys()
    told = shell("why", PRODUCTION, "--json").json
    assert told["decision"]["after"] == "Production"


def test_lineage_and_reasons_show_in_a_notebook(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_URI", str(shell.home))
    assert "came of" in (loopline.lineage(PRODUCTION)._repr_html_() or "")
    assert "Decided by" in (loopline.why(PRODUCTION)._repr_html_() or "")
    with pytest.raises(InvalidInputError, match="no version of a registered model"):
        loopline.why("runs:/0123/model")


def test_a_models_name_alone_means_the_version_in_production(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_URI", str(shell.home))
    meant = loopline.why(PRODUCTION)
    for short in (story.MODEL, f"models:/{story.MODEL}", f"{story.MODEL}/Production"):
        assert loopline.why(short).version == meant.version
    assert loopline.why(f"{story.MODEL}/1").version.version == 1
    with pytest.raises(NotFoundError, match="loopline models list"):
        loopline.why("nobody")


def test_a_card_is_written_anew_around_what_people_wrote(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "MODEL_CARD.md"
    assert shell("models", "card", f"{story.MODEL}/1", "--to", str(file)).code == 0
    text = file.read_text()
    assert text.startswith(f"# {story.MODEL}, version 1\n")
    assert "## Metrics" in text
    assert written_by_people(text) == {}

    words = "Quotes for riders.\n\n- never for *night* fares | or refunds"
    asked = (
        "TO BE WRITTEN by a person. What is it for, and who uses it? What must it not be used for?"
    )
    assert asked in text
    file.write_text(text.replace(asked, words))
    assert shell("models", "card", f"{story.MODEL}/Production", "--to", str(file)).code == 0
    again = file.read_text()
    assert words in again
    assert "| Stage | Production |" in again
    assert written_by_people(again) == {"Intended use": words}
    assert shell("models", "card", f"{story.MODEL}/1").out.startswith("# ")


def test_a_file_that_is_no_card_is_not_written_over(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("# Mine\n")
    ran = shell("models", "card", f"{story.MODEL}/1", "--to", str(file))
    assert (ran.code, file.read_text()) == (1, "# Mine\n")
    assert "would be lost" in ran.err
