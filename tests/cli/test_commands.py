"""What each command shows and does."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from tests.server import story
from tests.server.running import running

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.cli.conftest import Shell


class Answering(io.StringIO):
    """A terminal where somebody types."""

    def isatty(self) -> bool:
        return True


FLOW = f"{story.PROJECT}/{story.FLOW}"


def test_runs_are_listed_with_their_metrics(shell: Shell) -> None:
    ran = shell("runs", "list", "--experiment", story.EXPERIMENT)
    head, *rows = ran.out.splitlines()
    assert ran.code == 0
    shown = "ID NAME STATUS STARTED DURATION EXPERIMENT loss/train rmse val_rmse"
    assert head.split() == shown.split()
    assert any("train on 2023-02" in row and "4.46" in row for row in rows)
    assert "\x1b" not in ran.out  # Nothing is drawn into a pipe.


def test_who_reads_at_a_mistyped_address_is_told_and_nothing_is_made(
    shell: Shell, tmp_path: Path
) -> None:
    folder, database = tmp_path / "typo", f"sqlite:///{tmp_path}/typo.db"
    for uri in (str(folder), database):
        ran = shell("runs", "list", "--uri", uri)
        assert (ran.code, ran.out) == (1, "")
        assert f"Error: There is no store {'at' if uri == database else 'in the folder'} {uri}" in (
            ran.err
        )
        assert "Check the address" in ran.err
        assert "`loopline init`" in ran.err
    assert shell("gc", "--uri", str(folder)).code == 1
    assert list(tmp_path.iterdir()) == []

    assert shell("init", str(tmp_path)).code == 0
    ran = shell("runs", "list", "--uri", str(tmp_path))
    assert f"Did you mean {tmp_path / '.loopline'}?" in ran.err
    assert shell("runs", "list", "--uri", str(tmp_path / ".loopline")).code == 0


def test_runs_are_found_by_a_filter_in_order(shell: Shell) -> None:
    ran = shell("runs", "search", "metrics.rmse < 4", "--order-by", "metrics.rmse DESC", "--json")
    assert [run["name"][-7:] for run in ran.json] == ["2022-12", "2022-08", "2022-03"]


def test_a_wrong_filter_is_shown_at_its_character_with_code_1(shell: Shell) -> None:
    ran = shell("runs", "search", "metrics.rmse ~ 4")
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.startswith("Error: Expected")
    assert "metrics.rmse ~ 4\n               ^" in ran.err


def test_a_run_is_shown_by_the_first_letters_of_its_id(shell: Shell) -> None:
    ran = shell("runs", "show", story.run_id(5))
    for words in ("train on 2023-02", "FINISHED", "row_count", "4.46", "team"):
        assert words in ran.out
    assert "Several" in shell("runs", "show", "0" * 20).err
    assert "loopline runs list" in shell("runs", "show", "f" * 10).err


def test_json_spells_numbers_that_json_lacks(shell: Shell) -> None:
    run = shell("runs", "show", story.run_id(13), "--json").json["run"]
    assert run["metrics"]["inf"]["value"] == "Infinity"


def test_what_was_refused_is_shown(shell: Shell) -> None:
    assert "1 record refused for good" in shell("runs", "show", story.run_id(11)).out


def test_a_limit_says_that_there_is_more(shell: Shell) -> None:
    ran = shell("runs", "list", "--limit", "2")
    assert len(ran.out.splitlines()) == 3
    assert "--limit" in ran.err


def test_experiments_are_listed(shell: Shell) -> None:
    assert story.EXPERIMENT in shell("experiments", "list").out


def test_models_are_listed_shown_and_their_history_told(shell: Shell) -> None:
    assert "@champion v5" in shell("models", "list").out
    assert "Archived" in shell("models", "show", story.MODEL).out
    events = shell("models", "history", story.MODEL, "--json").json
    assert {"stage", "created", "alias"} <= {event["kind"] for event in events}


def test_a_version_is_promoted_with_a_reason(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE_ACTOR", "vera")
    ran = shell("models", "promote", story.MODEL, "2", "--stage", "staging", "--reason", "a look")
    assert ran.out == f"{story.MODEL} v2 is in Staging now.\n"
    newest = shell("models", "history", story.MODEL, "--json").json[0]
    assert (newest["actor"], newest["after"], newest["reason"]) == ("vera", "Staging", "a look")


def test_a_model_gets_a_stage_of_its_own_and_loses_it(shell: Shell) -> None:
    ran = shell("models", "stage", story.MODEL, "Canary", "--seen-as", "Staging")
    assert ran.out == f"Stages of {story.MODEL} beside the four: Canary (MLflow sees Staging).\n"
    ran = shell("models", "promote", story.MODEL, "1", "--stage", "canary")
    assert ran.out == f"{story.MODEL} v1 is in Canary now.\n"
    assert shell("models", "stage", story.MODEL, "Canary", "--remove").code == 1
    shell("models", "promote", story.MODEL, "1", "--stage", "Archived")
    ran = shell("models", "stage", story.MODEL, "Canary", "--remove")
    assert ran.out == f"Stages of {story.MODEL} beside the four: none.\n"


def test_an_alias_is_pointed_and_taken_away(shell: Shell) -> None:
    assert shell("models", "alias", story.MODEL, "night", "3").out.endswith("is v3 now.\n")
    assert shell("models", "alias", story.MODEL, "night", "--remove").code == 0
    assert shell("models", "alias", story.MODEL, "night").code == 2


def test_a_model_is_made_described_tagged_copied_and_renamed(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_ACTOR", "vera")
    ran = shell("models", "create", "tips", "--description", "Tips.", "--tag", "team=fares")
    assert ran.out == "tips is there now, without versions.\n"
    again = shell("models", "create", "tips")
    assert (again.code, "Registered Model (name=tips) already exists" in again.err) == (1, True)
    assert shell("models", "copy", story.MODEL, "5", "tips").out.endswith("is tips v1, too.\n")
    assert shell("models", "describe", "tips", "Tips by night.").out == "tips: Tips by night.\n"
    described = shell("models", "describe", "tips", "First.", "--version", "1", "--json").json
    assert (described["version"], described["description"]) == (1, "First.")
    tagged = shell("models", "tag", "tips", "city=New York", "a=b=c", "--remove", "team").out
    assert tagged.splitlines() == ["a     b=c", "city  New York"]
    tags = shell("models", "tag", "tips", "reviewed=yes", "--version", "1", "--json").json["tags"]
    assert tags == {"reviewed": "yes"}
    off = shell("models", "tag", "tips", "--remove", "reviewed", "--version", "1").out
    assert off == "tips v1 has no tags now.\n"
    assert shell("models", "tag", "tips").code == 2
    assert "KEY=VALUE" in shell("models", "tag", "tips", "reviewed").err

    assert shell("models", "rename", "tips", "night tips").out == "tips is night tips now.\n"
    shown = shell("models", "show", "night tips").out
    for words in ("Tips by night.", "city=New York", "v1"):
        assert words in shown
    newest = shell("models", "history", "night tips", "--json").json[0]
    assert (newest["kind"], newest["actor"]) == ("renamed", "vera")
    assert shell("models", "delete", "night tips", "--yes").code == 0


def test_models_and_versions_are_found_by_filters(shell: Shell) -> None:
    shell("models", "create", "tips", "--tag", "team=fares")
    assert [m["name"] for m in shell("models", "search", "tags.team = 'fares'", "--json").json] == [
        "tips"
    ]
    head, row = shell("models", "search", "name = 'tips'").out.splitlines()
    assert (head.split()[0], row.split()[0]) == ("MODEL", "tips")
    more = shell("models", "search", "--limit", "1", "--order-by", "name DESC")
    assert ("tips" in more.out, "--limit" in more.err) == (True, True)
    text = f"name = '{story.MODEL}' AND version_number > 3"
    found = shell("models", "versions", text, "--order-by", "version_number", "--json").json
    assert [version["version"] for version in found] == [4, 5]
    head, *rows = shell("models", "versions", text).out.splitlines()
    assert (head.split()[0], len(rows)) == ("MODEL", 2)
    wrong = shell("models", "versions", "stage = 'Production'")
    assert wrong.code == 1
    assert "name, version_number, run_id, source_path" in wrong.err
    assert shell("models", "search", "name = 'none'").err == "No model is like that.\n"
    shell("models", "delete", "tips", "--yes")


def test_logged_models_are_found_shown_and_deleted(shell: Shell) -> None:
    head, *rows = shell("models", "logged", "list").out.splitlines()
    assert head.split()[:2] == ["ID", "NAME"]
    assert [row.split()[0] for row in rows] == [story.model_id(number) for number in (1, 2, 3)]
    asked = ("models", "logged", "list", "metrics.rmse < 4", "--experiment", story.EXPERIMENT)
    (found,) = shell(*asked, "--json").json
    assert (found["model_id"], found["status"]) == (story.model_id(1), "READY")
    ordered = shell("models", "logged", "list", "--order-by", "name DESC", "--json").json
    assert ordered[0]["name"] == "night fares"
    assert "--limit" in shell("models", "logged", "list", "--limit", "1").err
    assert (
        shell("models", "logged", "list", "name = 'none'").err == "No logged model is like that.\n"
    )
    wrong = shell("models", "logged", "list", "metrics.rmse <")
    assert wrong.code == 1

    shown = shell("models", "logged", "show", story.model_id(1))
    for words in ("night fares", "regressor", "depth=7", "3.91", "model.skops", "night_fares v1"):
        assert words in shown.out
    shown = shell("models", "logged", "show", story.model_id(1), "--json").json
    assert (shown["model"]["params"]["depth"], len(shown["files"])) == ("7", 3)

    kept = shell("models", "logged", "delete", story.model_id(2))
    assert (kept.code, "--yes" in kept.err) == (1, True)
    assert shell("models", "logged", "show", story.model_id(2)).code == 0
    assert "is deleted" in shell("models", "logged", "delete", story.model_id(2), "--yes").out
    assert shell("models", "logged", "show", story.model_id(2)).code == 1


def test_a_model_is_deleted_when_that_is_confirmed(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        shell("models", "copy", story.MODEL, "5", "tips")
    shell("models", "alias", "tips", "best", "2")
    unasked = shell("models", "delete", "tips", "2")
    assert (unasked.code, unasked.out) == (1, "")
    assert "--yes" in unasked.err
    assert len(shell("models", "show", "tips", "--json").json["versions"]) == 2

    ran = shell("models", "delete", "tips", "2", "--yes")
    assert ran.out.startswith("Deleted tips v2 (None, @best).")
    assert shell("models", "delete", "tips", "2", "--yes").code == 1

    monkeypatch.setattr("sys.stdin", Answering("n\n"))
    assert shell("models", "delete", "tips").code == 1
    monkeypatch.setattr("sys.stdin", Answering("y\n"))
    ran = shell("models", "delete", "tips")
    assert ran.out.startswith("Deleted the model tips with 1 version.")
    assert "Delete the model tips with 1 version, for good? [y/N]" in ran.err
    events = shell("models", "history", "tips", "--json").json
    kinds = [event["kind"] for event in events]
    assert kinds[:4] == ["deleted", "deleted", "alias removed", "alias"]


def test_flows_are_listed_with_their_schedule_in_words(shell: Shell) -> None:
    row = next(line for line in shell("flows", "list").out.splitlines() if FLOW in line)
    assert "every 5 hours" in row


def test_a_flow_is_found_by_a_part_of_its_name(shell: Shell) -> None:
    assert story.PROJECT in shell("flows", "show", "wagonwab").out
    ran = shell("flows", "show", "wagonwob")
    assert ran.code == 1
    assert "loopline flows list" in ran.err


def test_the_next_times_of_a_schedule_are_shown_in_both_time_zones(shell: Shell) -> None:
    shown = shell("flows", "schedule", "preview", FLOW, "-n", "3", "--after", "2022-03-12T00:00Z")
    assert "YOUR TIME" in shown.out
    assert "UTC" in shown.out
    found = shell("flows", "schedule", "preview", FLOW, "-n", "3", "--json").json
    assert len(found["times"]) == 3
    assert found["times"] == sorted(found["times"], key=lambda time: str(time["at"]))
    assert shell("flows", "schedule", "preview", FLOW, "--after", "noon").code == 1


def test_a_schedule_is_switched_off_and_on(shell: Shell) -> None:
    assert "is off now" in shell("flows", "schedule", "off", FLOW).out
    assert "off: every 5 hours" in shell("flows", "list").out
    assert "is on now" in shell("flows", "schedule", "on", FLOW).out


def test_a_flow_run_is_asked_for_with_parameters_and_cancelled(shell: Shell) -> None:
    asked = shell(
        "flows", "run", FLOW, "--param", "next_row=12", "--name", "by hand", "--json"
    ).json
    assert asked["parameters"] == {"next_row": 12}
    assert "Cancelled" in shell("flow-runs", "cancel", asked["flow_run_id"], "--reason", "oh").out
    assert shell("flows", "run", FLOW, "--param", "next_row").code == 1
    wrong = shell("flows", "run", FLOW, "--param", "nxt_row=1")
    assert "next_row" in wrong.err


def test_following_a_finished_flow_run_prints_its_log_and_how_it_ended(shell: Shell) -> None:
    ran = shell("flow-runs", "logs", shell.flow_runs[2], "--follow")
    assert ran.code == 1
    assert "8 % of passenger_count imputed" in ran.out
    assert "ended as Failed" in ran.err
    assert shell("flow-runs", "logs", shell.flow_runs[0], "--follow").code == 0


def test_log_lines_are_filtered_by_level(shell: Shell) -> None:
    ran = shell("flow-runs", "logs", shell.flow_runs[2], "--level", "error")
    assert [line.split()[1] for line in ran.out.splitlines()] == ["ERROR"]


def test_flow_runs_are_listed_by_state_and_shown(shell: Shell) -> None:
    failed = shell("flow-runs", "list", "--state", "failed", "--json").json
    assert {run["name"] for run in failed} == {"night-shift-3", "night-shift-6"}
    assert "TriggerFailed" in shell("flow-runs", "show", failed[0]["flow_run_id"][:12]).out
    assert "Did you mean 'Failed'" in shell("flow-runs", "list", "--state", "Faild").err


def test_artifacts_are_listed_and_downloaded_whole(shell: Shell, tmp_path: Path) -> None:
    run = story.run_id(1)
    assert "model/model.skops" in shell("artifacts", "list", run).out
    assert "3 files" in shell("artifacts", "download", run, "--to", str(tmp_path)).out
    assert (tmp_path / "model" / "model.skops").read_bytes() == b"a model" * 1000
    one = shell(
        "artifacts", "download", run, "report.html", "--to", str(tmp_path / "one"), "--json"
    )
    assert one.json == [str(tmp_path / "one" / "report.html")]
    missing = shell("artifacts", "download", run, "nothing", "--to", str(tmp_path))
    assert (missing.code, "artifacts list" in missing.err) == (1, True)


def test_a_home_is_made_once(shell: Shell, tmp_path: Path) -> None:
    first = shell("init", str(tmp_path), "--json").json
    assert first == {"home": str(tmp_path / ".loopline"), "created": True}
    assert "there already" in shell("init", str(tmp_path)).out


def test_there_is_nothing_to_sync_when_nothing_is_left(shell: Shell) -> None:
    assert shell("sync", "--json").json == {"sent": {}, "kept": {}}


def test_a_folder_without_a_journal_is_refused(shell: Shell, tmp_path: Path) -> None:
    ran = shell("sync", str(tmp_path))
    assert (ran.code, "No journal" in ran.err) == (1, True)


def test_the_version_is_told(shell: Shell) -> None:
    assert shell("version", "--json").json["records_to"] == str(shell.home)


def test_commands_work_on_a_server_too(shell: Shell) -> None:
    from loopline.settings import Address

    here = shell("runs", "list", "--json").json
    with running(Address("home", str(shell.home))) as url:
        there = shell("runs", "list", "--json", "--uri", url).json
    assert there == here


def test_an_unreachable_server_is_an_error_with_the_next_step(shell: Shell) -> None:
    ran = shell("runs", "list", "--uri", "http://127.0.0.1:9")
    assert ran.code == 1
    assert "loopline server" in ran.err
    assert len(ran.err.splitlines()) <= 2
    assert "Traceback" not in ran.err


def test_an_empty_store_says_what_to_do(shell: Shell, tmp_path: Path) -> None:
    shell("init", str(tmp_path))
    home = str(tmp_path / ".loopline")
    for noun in ("runs", "models", "flows", "flow-runs"):
        ran = shell(noun, "list", "--uri", home)
        assert (ran.code, ran.out) == (0, "")
        assert ran.err.startswith("No ")
        assert json.loads(shell(noun, "list", "--json", "--uri", home).out) == []


def test_runs_are_deleted_and_brought_back(shell: Shell) -> None:
    before = shell("runs", "list", "--json").json
    run_id = before[0]["run_id"]
    gone = shell("runs", "delete", run_id)
    assert gone.code == 0
    assert f"({run_id})" in gone.out + gone.err
    left = shell("runs", "list", "--json").json
    assert [run["run_id"] for run in left] == [run["run_id"] for run in before[1:]]
    assert shell("runs", "delete", "nobody").code == 1
    back = shell("runs", "restore", run_id, "--json")
    assert [run["lifecycle"] for run in back.json] == ["active"]
    assert shell("runs", "list", "--json").json == before


def test_a_list_that_was_cut_says_of_how_many(shell: Shell) -> None:
    total = len(shell("runs", "list", "--json", "--limit", "1000").json)
    ran = shell("runs", "list", "--limit", "1")
    assert f"The first 1 of {total} runs" in ran.out + ran.err


def test_webhooks_are_made_shown_and_deleted(shell: Shell, tmp_path: Path) -> None:
    assert "No webhooks yet" in shell("webhooks", "list").err
    secret = tmp_path / "hook.secret"
    secret.write_text("not to be told\n")
    # An address for documentation: nothing in this test calls it.
    made = shell(
        "webhooks", "create", "deploys", "https://203.0.113.7/hooks",
        "--event", "model_version.created", "--secret-file", str(secret), "--json",
    ).json  # fmt: skip
    webhook_id = made["webhook_id"]
    listed = shell("webhooks", "list").out
    assert "deploys" in listed
    assert "yes" in listed
    assert "not to be told" not in listed
    assert "Nothing has happened" in shell("webhooks", "deliveries", webhook_id).err
    assert shell("models", "copy", story.MODEL, "5", "another_model").code == 0
    (told,) = shell("webhooks", "deliveries", webhook_id, "--json").json
    assert (told["event"], told["status"]) == ("model_version.created", "waiting")
    assert "told of nothing more" in shell("webhooks", "delete", webhook_id).err
    refused = shell("webhooks", "create", "x", "https://203.0.113.7/", "--event", "tea.ready")
    assert refused.code == 1
    assert "model_version" in refused.err
    assert shell("models", "delete", "another_model", "--yes").code == 0


def test_truth_of_a_model_that_nothing_was_recorded_of_is_refused(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "happened.csv").write_text("id,fare\ntrip-7,9.5\n")
    before = shell("experiments", "list", "--json").json
    ran = shell("truth", "add", str(tmp_path / "happened.csv"), "--model", "taxifair_model")
    assert ran.code == 1
    assert "Nothing was recorded of a model 'taxifair_model'" in ran.err
    assert shell("experiments", "list", "--json").json == before
