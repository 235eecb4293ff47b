"""The registry's invariants hold when 32 threads, or processes, change it at once."""

from __future__ import annotations

import itertools
import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from tests.store.registry_story import NAME, events_of, register

from loopline.backend.local import LocalBackend
from loopline.errors import AlreadyExistsError, NotFoundError
from loopline.records import operations as ops
from loopline.records.registry import Stage
from loopline.store import schema

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.settings import Address

CLIENTS = 32
MOVES = 100


def _check_history(backend: LocalBackend) -> None:
    """Check that each version's moves follow one another, and lead to where it stands."""
    stands = {v.version: v.stage for v in backend.call(ops.ListVersions(name=NAME))}
    moves = [event for event in events_of(backend) if event.kind == "stage"]
    for version, stage in stands.items():
        own = [event for event in moves if event.version == version]
        chain = ["None", *(event.after for event in own)]
        assert [event.before for event in own] == chain[:-1]
        assert chain[-1] == stage


def test_a_hundred_racing_moves_leave_one_version_in_production(backend: LocalBackend) -> None:
    for _ in range(MOVES):
        register(backend)

    def promote(version: int) -> None:
        backend.call(ops.TransitionStage(name=NAME, version=version, stage="Production"))

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(promote, range(1, MOVES + 1)))

    versions = backend.call(ops.ListVersions(name=NAME))
    (champion,) = (v.version for v in versions if v.stage == Stage.PRODUCTION)
    assert backend.call(ops.GetModel(name=NAME)).champions == {"Production": champion}
    assert sum(v.stage == Stage.ARCHIVED for v in versions) == MOVES - 1
    into = [event for event in events_of(backend) if event.after == "Production"]
    assert sorted(event.version for event in into) == list(range(1, MOVES + 1))
    assert into[-1].version == champion
    _check_history(backend)


def _register_and_promote(place: tuple[Address, Path]) -> list[int]:
    """Register some versions and move each to Production, in a process of its own."""
    address, home = place
    with closing(LocalBackend(address, home=home)) as backend:
        made = [register(backend).version for _ in range(3)]
        for version in made:
            backend.call(ops.TransitionStage(name=NAME, version=version, stage="Production"))
    return made


def test_racing_processes_number_versions_without_gaps(
    backend: LocalBackend, tmp_path: Path
) -> None:
    places = [(backend.address, tmp_path)] * 8
    with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("spawn")) as processes:
        made = list(processes.map(_register_and_promote, places))

    numbers = sorted(itertools.chain.from_iterable(made))
    assert numbers == list(range(1, 25))
    versions = backend.call(ops.ListVersions(name=NAME))
    assert sum(v.stage == Stage.PRODUCTION for v in versions) == 1
    assert len(backend.call(ops.GetModel(name=NAME)).champions) == 1
    _check_history(backend)


def test_racing_deletes_renames_and_moves_leave_nothing_dangling(backend: LocalBackend) -> None:
    for _ in range(16):
        register(backend)
    choose = random.Random(7)  # noqa: S311 - an order
    calls: list[ops.Operation[Any]] = [
        call
        for version in range(1, 17)
        for call in (
            ops.TransitionStage(name=NAME, version=version, stage="Production"),
            ops.SetAlias(name=NAME, alias="best", version=version),
            ops.SetVersionTags(name=NAME, version=version, tags={"a": "1"}),
            ops.DeleteVersion(name=NAME, version=version),
        )
    ]
    calls += [
        ops.RenameModel(name=NAME, new_name="fares"),
        ops.RenameModel(name="fares", new_name=NAME),
    ] * 4
    choose.shuffle(calls)

    def carry_out(call: ops.Operation[Any]) -> None:
        with suppress(NotFoundError):  # Renamed or deleted before: that is an answer.
            backend.call(call)

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(carry_out, calls))

    (model,) = backend.call(ops.ListModels())
    there = {version.version for version in backend.call(ops.ListVersions(name=model.name))}
    assert set(model.aliases.values()) <= there
    assert set(model.champions.values()) <= there
    deleted = [e.version for e in events_of(backend, model.name) if e.kind == "deleted"]
    assert len(set(deleted)) == len(deleted)
    assert there == set(range(1, 17)) - set(deleted)
    with backend.store.read() as connection:
        tag = schema.model_version_tag
        tagged = set(connection.execute(select(tag.c.version)).scalars())
    assert tagged <= there


def test_of_32_that_make_a_model_of_one_name_one_makes_it(backend: LocalBackend) -> None:
    refused: list[str] = []

    def create(number: int) -> str:
        try:
            return backend.call(ops.CreateModel(name=NAME, description=str(number))).description
        except AlreadyExistsError as error:
            refused.append(str(error))
            return ""

    with ThreadPoolExecutor(CLIENTS) as threads:
        made = [text for text in threads.map(create, range(CLIENTS)) if text]
    assert len(refused) == CLIENTS - 1
    assert made == [backend.call(ops.GetModel(name=NAME)).description]
    with backend.store.read() as connection:
        count = connection.execute(select(func.count()).select_from(schema.version_event))
        assert count.scalar_one() == 1
