"""Models and versions are searched in MLflow's words, and pages hold together under writes.

The answers are those of MLflow 3.17.2, but where it knows no OR, NOT and IS NULL.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import pytest
from tests.store.registry_story import log_model, register

from loopline.errors import FilterError, InvalidInputError
from loopline.records import operations as ops

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend

NAMES = ["b", "a", "C", "taxi fare"]


@pytest.fixture(scope="module")
def backend(open_module_backend: Callable[..., LocalBackend]) -> LocalBackend:
    """Make four models, and five versions of two of them, a millisecond apart."""
    ticks = itertools.count(1_700_000_000_000)
    backend = open_module_backend(clock=lambda: next(ticks))
    for name in NAMES:
        tags = {} if name == "a" else {"team": "cabs", "Long key": "It's 100 %"}
        backend.call(ops.CreateModel(name=name, tags=tags))
    log_model(backend, "r3")
    register(backend, "b", source="s3://x/1", run_id="r1", tags={"k": "1"})
    register(backend, "b", source="s3://x/2", run_id="r2")
    register(backend, "C", source="s3://x/1", run_id="r1", tags={"k": "2"})
    backend.call(ops.RegisterVersion(name="b", run_id="r3", artifact_path="model"))
    register(backend, "b", source="", run_id="")
    return backend


def _models(backend: LocalBackend, text: str = "", order: tuple[str, ...] = ()) -> list[str]:
    page = backend.call(ops.SearchModels(filter=text, order_by=list(order)))
    assert page.next_page_token == ""
    return [model.name for model in page.models]


def _versions(backend: LocalBackend, text: str = "", order: tuple[str, ...] = ()) -> list[str]:
    page = backend.call(ops.SearchVersions(filter=text, order_by=list(order)))
    assert page.next_page_token == ""
    return [f"{version.name}{version.version}" for version in page.versions]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["C", "a", "b", "taxi fare"]),
        ("name = 'a'", ["a"]),
        ("name != 'a'", ["C", "b", "taxi fare"]),
        ("name LIKE '%a%'", ["a", "taxi fare"]),
        ("name LIKE 'c'", []),
        ("name ILIKE 'c'", ["C"]),
        ("name IN ('a', 'C', 'none')", ["C", "a"]),
        ("attribute.name = 'a'", ["a"]),
        ("tags.team = 'cabs'", ["C", "b", "taxi fare"]),
        ("tag.team LIKE 'c%'", ["C", "b", "taxi fare"]),
        ("tags.team != 'buses'", ["C", "b", "taxi fare"]),
        ("tags.nope != 'x'", []),
        ("tags.`Long key` = \"It's 100 %\" AND name ILIKE 'T%'", ["taxi fare"]),
        ("tags.\"team\" = 'cabs' and name = 'b'", ["b"]),
        ("name = 'a' AND name = 'b'", []),
        ("name = 'a' OR tags.team = 'cabs' AND name = 'b'", ["a", "b"]),
        ("NOT (name = 'a' OR name = 'b')", ["C", "taxi fare"]),
        ("tags.team IS NULL", ["a"]),
        ("NOT tags.team = 'cabs'", ["a"]),
        ("tags.team IS NOT NULL", ["C", "b", "taxi fare"]),
    ],
)
def test_models_are_found_by_name_and_tags(
    backend: LocalBackend, text: str, found: list[str]
) -> None:
    assert _models(backend, text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name = 'b'", ["b4", "b3", "b2", "b1"]),
        ("name IN ('C')", ["C1"]),
        ("name LIKE '_'", ["b4", "b3", "C1", "b2", "b1"]),
        ("version_number = 1", ["C1", "b1"]),
        ("version_number = '1'", ["C1", "b1"]),
        ("version_number > 1 AND version_number <= 3", ["b3", "b2"]),
        ("version_number != 1", ["b4", "b3", "b2"]),
        ("run_id = 'r1'", ["C1", "b1"]),
        ("run_id IN ('r1', 'r3')", ["b3", "C1", "b1"]),
        ("run_id NOT IN ('r1')", ["b3", "b2"]),
        ("run_id != 'r1'", ["b3", "b2"]),
        ("run_id LIKE 'r%'", ["b3", "C1", "b2", "b1"]),
        ("source_path = 's3://x/1'", ["C1", "b1"]),
        ("source_path ILIKE 'S3://%'", ["C1", "b2", "b1"]),
        ("source_path LIKE 'runs:/r3/%'", ["b3"]),
        ("tags.k = '1'", ["b1"]),
        ("tags.k != '1'", ["C1"]),
        ("tags.k = '1' AND name = 'C'", []),
        ("run_id IS NULL", ["b4"]),
        ("tags.k IS NULL AND NOT run_id = 'r2'", ["b4", "b3"]),
    ],
)
def test_versions_are_found_by_what_mlflow_finds_them_by(
    backend: LocalBackend, text: str, found: list[str]
) -> None:
    assert _versions(backend, text) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (("name DESC",), ["taxi fare", "b", "a", "C"]),
        (("timestamp",), ["a", "taxi fare", "C", "b"]),
        (("last_updated_timestamp desc", "name ASC"), ["b", "C", "taxi fare", "a"]),
    ],
)
def test_models_are_ordered(
    backend: LocalBackend, order: tuple[str, ...], found: list[str]
) -> None:
    assert _models(backend, order=order) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ((), ["b4", "b3", "C1", "b2", "b1"]),
        (("name",), ["C1", "b4", "b3", "b2", "b1"]),
        (("name DESC",), ["b4", "b3", "b2", "b1", "C1"]),
        (("version_number",), ["C1", "b1", "b2", "b3", "b4"]),
        (("version_number DESC",), ["b4", "b3", "b2", "C1", "b1"]),
        (("creation_timestamp",), ["b1", "b2", "C1", "b3", "b4"]),
        (("last_updated_timestamp ASC",), ["b1", "b2", "C1", "b3", "b4"]),
        (("name", "version_number"), ["C1", "b1", "b2", "b3", "b4"]),
    ],
)
def test_versions_are_ordered(
    backend: LocalBackend, order: tuple[str, ...], found: list[str]
) -> None:
    assert _versions(backend, order=order) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stage = 'Production'", r"\(name, version_number, run_id, source_path\)"),
        ("current_stage = 'None'", r"\(name, version_number, run_id, source_path\)"),
        ("aliases = 'best'", r"\(name, version_number, run_id, source_path\)"),
        ("status = 'READY'", r"\(name, version_number, run_id, source_path\)"),
        ("metrics.rmse < 4", r"\(name, version_number, run_id, source_path\)"),
        ("version_number > 1.5", "a whole number"),
        ("version_number = 'x'", "a whole number"),
        ("version_number LIKE '1'", "version_number is a number"),
        ("version_number IN (1, 2)", "version_number is a number"),
        ("run_id IN ()", "text in quotes"),
        ("run_id = r1", "text in quotes"),
        ("name > 'a'", "name is text"),
        ("name = 'a' name = 'b'", "AND, OR or the end"),
    ],
)
def test_a_wrong_filter_of_versions_says_what_is_allowed(
    backend: LocalBackend, text: str, said: str
) -> None:
    with pytest.raises(FilterError, match=said):
        _versions(backend, text)


@pytest.mark.parametrize("text", ["stage = 'x'", "description = 'x'", "params.a = 'x'", "name = a"])
def test_a_wrong_filter_of_models_is_refused(backend: LocalBackend, text: str) -> None:
    with pytest.raises(FilterError):
        _models(backend, text)


@pytest.mark.parametrize("order", [("tags.k",), ("run_id",), ("name up",), ("name", "name DESC")])
def test_a_wrong_order_is_refused(backend: LocalBackend, order: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError):
        _models(backend, order=order)
    with pytest.raises(InvalidInputError):
        _versions(backend, order=order)


@pytest.mark.parametrize("count", [0, -1, 1_001])
def test_a_page_of_models_has_one_to_a_thousand(backend: LocalBackend, count: int) -> None:
    said = f"Invalid value {count} for parameter 'max_results' supplied: "
    with pytest.raises(InvalidInputError, match=said):
        backend.call(ops.SearchModels(max_results=count))
    assert len(backend.call(ops.SearchModels(max_results=1_000)).models) == len(NAMES)


@pytest.mark.parametrize("count", [0, -1, 200_001])
def test_a_page_of_versions_has_one_to_two_hundred_thousand(
    backend: LocalBackend, count: int
) -> None:
    said = f"Invalid value {count} for parameter 'max_results' supplied: "
    with pytest.raises(InvalidInputError, match=said):
        backend.call(ops.SearchVersions(max_results=count))
    assert len(backend.call(ops.SearchVersions(max_results=200_000)).versions) == 5


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("order", [[], ["name DESC"], ["version_number", "creation_timestamp"]])
def test_pages_hold_what_one_page_would(
    backend: LocalBackend, count: int, order: list[str]
) -> None:
    whole = backend.call(ops.SearchVersions(order_by=order)).versions
    assert _walk(backend, count, order) == [f"{one.name}{one.version}" for one in whole]


def _walk(backend: LocalBackend, count: int, order: list[str] | None = None) -> list[str]:
    """Turn the pages of all versions."""
    found: list[str] = []
    token = ""
    while True:
        call = ops.SearchVersions(max_results=count, order_by=order or [], page_token=token)
        page = backend.call(call)
        assert len(page.versions) <= count
        found += [f"{one.name}{one.version}" for one in page.versions]
        token = page.next_page_token
        if not token:
            return found


def test_a_token_of_another_order_is_refused(backend: LocalBackend) -> None:
    of_names = backend.call(ops.SearchModels(max_results=1)).next_page_token
    of_versions = backend.call(ops.SearchVersions(max_results=1)).next_page_token
    for token in (of_names, "!!", "eyJvZmZzZXQiOiAyfQ==", of_versions[:-2]):
        with pytest.raises(InvalidInputError):
            backend.call(ops.SearchVersions(page_token=token))
    for token in (of_versions, "é", "AA"):
        with pytest.raises(InvalidInputError):
            backend.call(ops.SearchModels(page_token=token))
    with pytest.raises(InvalidInputError):
        backend.call(ops.SearchVersions(order_by=["name"], page_token=of_versions))


def test_pages_hold_together_while_versions_are_added(
    open_backend: Callable[..., LocalBackend],
) -> None:
    backend = open_backend()
    for _ in range(60):
        register(backend, "m")
    done = threading.Event()

    def add() -> None:
        while not done.is_set():
            register(backend, "m")

    adding = threading.Thread(target=add)
    adding.start()
    try:
        found = _walk(backend, 7)
        by_name = _walk(backend, 7, ["name", "version_number DESC"])
    finally:
        done.set()
        adding.join()
    for walk in (found, by_name):
        assert len(set(walk)) == len(walk)
        assert {f"m{number}" for number in range(1, 61)} <= set(walk)


def test_deleting_the_last_of_a_page_does_not_lose_the_next_one(
    open_backend: Callable[..., LocalBackend],
) -> None:
    backend = open_backend()
    for _ in range(4):
        register(backend, "m")
    page = backend.call(ops.SearchVersions(max_results=2))
    backend.call(ops.DeleteVersion(name="m", version=page.versions[-1].version))
    left = backend.call(ops.SearchVersions(page_token=page.next_page_token)).versions
    assert [version.version for version in left] == [2, 1]
