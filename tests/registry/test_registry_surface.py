"""The registry as people use it: by functions of ``loopline.registry``, and by client."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

import loopline
from loopline import registry
from loopline.errors import AlreadyExistsError, FilterError, InvalidInputError, NotFoundError
from loopline.models import load_model
from loopline.records import operations as ops
from loopline.records.registry import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.records.registry import ModelVersion

NAME = "taxifare_model"


def log_model(text: str = "a model") -> str:
    """Log a file as a model of a new run; return its address."""
    with loopline.start_run() as run:
        loopline.log_text(text, "model/MLmodel")
    return f"runs:/{run.run_id}/model"


@pytest.fixture
def client(home: Path) -> loopline.Client:
    """A client of another store than the process's."""
    return loopline.Client(str(home / "team"))


def register(client: loopline.Client, name: str = NAME) -> ModelVersion:
    """Register a version whose files are elsewhere."""
    return client.recorder.call(
        ops.RegisterVersion(name=name, source="s3://bucket/m", allow_empty=True)
    )


@pytest.mark.usefixtures("home")
def test_a_model_is_made_described_tagged_renamed_and_deleted() -> None:
    made = registry.create_model(NAME, description="Fares.", tags={"team": "cabs", "floor": 3})
    assert made.tags == {"team": "cabs", "floor": "3"}
    with pytest.raises(AlreadyExistsError):
        registry.create_model(NAME)
    assert registry.update_model(NAME, description="Fares by night.").description
    assert registry.set_model_tags(NAME, {"floor": 4}).tags["floor"] == "4"
    registry.remove_model_tag(NAME, "team")
    assert registry.rename_model(NAME, "fares").name == "fares"
    assert registry.get_model("fares").tags == {"floor": "4"}
    assert [model.name for model in registry.search_models("tags.floor = '4'")] == ["fares"]
    registry.delete_model("fares")
    assert registry.list_models() == []
    assert [(event.kind, event.actor) for event in registry.history("fares")] == [
        ("deleted", "ada"),
        ("renamed", "ada"),
        ("created", "ada"),
    ]


@pytest.mark.usefixtures("home")
def test_a_version_is_described_tagged_copied_found_and_deleted() -> None:
    first = loopline.register_model(log_model(), NAME, tags={"a": 1}, description="First.")
    assert (first.tags, first.description) == ({"a": "1"}, "First.")
    assert registry.update_version(NAME, 1, description="Good.").description == "Good."
    assert registry.set_version_tags(NAME, "1", {"b": True}).tags == {"a": "1", "b": "True"}
    registry.remove_version_tag(NAME, 1, "a")

    copy = registry.copy_version(f"models:/{NAME}/1", "live")
    assert (copy.name, copy.tags, copy.description) == ("live", {"b": "True"}, "Good.")
    assert (copy.digest, copy.actor) == (first.digest, "ada")
    again = loopline.register_model("models:/live/latest", NAME, tags={}, description="Again.")
    assert (again.version, again.tags, again.description) == (2, {}, "Again.")

    def found(text: str) -> list[str]:
        versions = registry.search_versions(text, order_by=["name", "version_number"])
        return [f"{version.name} {version.version}" for version in versions]

    assert found("") == ["live 1", f"{NAME} 1", f"{NAME} 2"]
    assert found("tags.b = 'True'") == ["live 1", f"{NAME} 1"]
    assert found(f"name = '{NAME}' AND version_number > 1") == [f"{NAME} 2"]
    with pytest.raises(FilterError):
        found("stage = 'Production'")
    registry.transition_stage(NAME, 1, "Staging")
    assert [v.version for v in registry.get_latest_versions(NAME)] == [1, 2]
    assert [v.version for v in registry.get_latest_versions(NAME, ["Staging"])] == [1]
    registry.delete_version(NAME, 1)
    assert [version.version for version in registry.list_versions(NAME)] == [2]


@pytest.mark.usefixtures("home")
def test_a_version_without_files_says_where_they_are() -> None:
    register(loopline.Client())
    with pytest.raises(NotFoundError, match=r"registered without files.*s3://bucket/m"):
        load_model(f"models:/{NAME}/1")


def test_a_client_does_it_all_in_a_store_of_its_own(client: loopline.Client) -> None:
    client.create_registered_model(NAME, {"team": "cabs"}, "Fares.")
    with pytest.raises(AlreadyExistsError):
        client.create_registered_model(NAME)
    client.set_registered_model_tag(NAME, "floor", 3)
    client.delete_registered_model_tag(NAME, "team")
    assert client.update_registered_model(NAME, "By night.").description == "By night."
    assert client.rename_registered_model(NAME, "fares").tags == {"floor": "3"}
    for _ in range(3):
        register(client, "fares")

    client.transition_model_version_stage("fares", "1", "staging")
    client.transition_model_version_stage("fares", "2", "staging")
    latest = client.get_latest_versions("fares", stages=["Staging"])
    assert [(version.version, version.current_stage) for version in latest] == [(2, "Staging")]
    client.transition_model_version_stage("fares", 1, "Staging", archive_existing_versions=True)
    assert client.get_model_version("fares", "2").stage == Stage.ARCHIVED
    with pytest.raises(InvalidInputError):
        client.transition_model_version_stage("fares", 1, "None", archive_existing_versions=True)

    client.set_registered_model_alias("fares", "best", "3")
    assert client.get_model_version_by_alias("fares", "best").version == 3
    assert client.get_registered_model("fares").aliases == {"best": 3}
    client.delete_registered_model_alias("fares", "best")
    client.delete_registered_model_alias("fares", "best")
    with pytest.raises(NotFoundError):
        client.get_model_version_by_alias("fares", "best")

    client.set_model_version_tag("fares", "3", "reviewed", "yes")
    client.set_model_version_tag("fares", key="live", value="yes", stage="Staging")
    assert client.get_model_version("fares", 1).tags == {"live": "yes"}
    client.delete_model_version_tag("fares", key="live", stage="staging")
    assert client.get_model_version("fares", 1).tags == {}
    for wrong in ({"key": "a"}, {"key": "a", "stage": "Production"}, {"version": 1}):
        with pytest.raises(InvalidInputError):
            client.set_model_version_tag("fares", **wrong)
    assert client.update_model_version("fares", 3, "Third.").description == "Third."
    client.delete_model_version("fares", 3)
    assert client.copy_model_version("models:/fares/1", "live").source == "s3://bucket/m"
    with pytest.raises(InvalidInputError, match="no version of a registered model"):
        client.copy_model_version("runs:/0/model", "live")
    client.delete_registered_model("fares")
    assert [model.name for model in client.search_registered_models()] == ["live"]
    assert registry.list_models() == []  # It was the client's store alone.


@pytest.mark.usefixtures("home")
def test_a_version_by_client_needs_its_model() -> None:
    address = log_model()
    client = loopline.Client()
    with pytest.raises(NotFoundError, match=f"Registered Model with name={NAME} not found"):
        client.create_model_version(NAME, address)
    client.create_registered_model(NAME)
    run_id = address.split("/")[1]
    made = client.create_model_version(NAME, address, run_id, {"a": 1}, "https://x", "First.")
    assert (made.run_id, made.tags, made.run_link) == (run_id, {"a": "1"}, "https://x")
    with pytest.raises(InvalidInputError, match="is not of run"):
        client.create_model_version(NAME, address, "0" * 32)
    with pytest.raises(InvalidInputError, match="is a folder"):
        client.create_model_version(NAME, "model/folder")


def test_searches_by_client_turn_their_pages(client: loopline.Client) -> None:
    for name in ("a", "b", "c"):
        register(client, name)
    first = client.search_registered_models(max_results=2)
    assert ([model.name for model in first], bool(first.token)) == (["a", "b"], True)
    rest = client.search_registered_models(max_results=2, page_token=first.token)
    assert ([model.name for model in rest], rest.token) == (["c"], "")
    newest = client.search_model_versions(max_results=2)
    assert [version.name for version in newest] == ["c", "b"]
    assert newest[0].last_updated_timestamp >= newest[1].creation_timestamp
    rest_of_versions = client.search_model_versions(None, None, None, newest.token)
    assert [version.name for version in rest_of_versions] == ["a"]


def test_versions_of_several_models_show_whose_they_are(client: loopline.Client) -> None:
    register(client, "night fares")
    register(client, "day fares")
    shown = client.search_model_versions()._repr_html_()
    assert "night fares" in shown
    assert "day fares" in shown


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("create_registered_model", ["name", "tags", "description"]),
        ("update_registered_model", ["name", "description"]),
        ("search_registered_models", ["filter_string", "max_results", "order_by", "page_token"]),
        ("search_model_versions", ["filter_string", "max_results", "order_by", "page_token"]),
        ("get_latest_versions", ["name", "stages"]),
        (
            "create_model_version",
            ["name", "source", "run_id", "tags", "run_link", "description"],
        ),
        ("copy_model_version", ["src_model_uri", "dst_name"]),
        (
            "transition_model_version_stage",
            ["name", "version", "stage", "archive_existing_versions"],
        ),
        ("set_model_version_tag", ["name", "version", "key", "value", "stage"]),
        ("delete_model_version_tag", ["name", "version", "key", "stage"]),
        ("set_registered_model_alias", ["name", "alias", "version"]),
    ],
)
def test_methods_take_what_mlflows_take_in_its_order(method: str, arguments: list[str]) -> None:
    signature = inspect.signature(getattr(loopline.Client, method))
    in_order = [one.name for one in signature.parameters.values() if one.kind != one.KEYWORD_ONLY]
    assert in_order[1:] == arguments
