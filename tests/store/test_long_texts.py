"""A text longer than an index can hold is kept whole, found, and blocks nothing."""

from __future__ import annotations

from fnmatch import fnmatchcase
from random import Random
from typing import TYPE_CHECKING

import pytest

from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus
from loopline.rules.names import MAX_PARAM_VALUE, MAX_PATH_BYTES
from loopline.store.long_texts import HEAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend

#: Texts that differ before, at and after the place where they are divided.
STEM = "x" * (HEAD - 1)
TEXTS = [
    "x", STEM, f"{STEM}a", f"{STEM}b", f"{STEM}aa", f"{STEM}ab", f"{STEM}ab%", f"{STEM}\\_",
    f"{STEM}bÄ", "y" * (2 * HEAD), f"{'y' * (2 * HEAD)}z",
]  # fmt: skip


def incompressible(length: int) -> str:
    """Make a text that no database makes smaller, four bytes a character."""
    random = Random(2022)  # noqa: S311 - repeatable, no secret
    return "".join(chr(0x20000 + random.randrange(0xA000)) for _ in range(length))


def send(backend: LocalBackend, *facts: f.Fact) -> f.Receipt:
    writer = "0" * 32
    batch = f.Batch(writer=writer, start=0, end=len(facts), facts=list(facts))
    return backend.send(batch)


@pytest.fixture(scope="module")
def filled(open_module_backend: Callable[..., LocalBackend]) -> LocalBackend:
    backend = open_module_backend()
    facts: list[f.Fact] = []
    for index, text in enumerate(TEXTS):
        facts.append(f.RunStarted(run_id=f"run{index}", experiment="fares", start_ms=index))
        facts.append(f.ParamsLogged(run_id=f"run{index}", params={"net": text}))
        facts.append(f.TagsSet(run_id=f"run{index}", tags={"note": text}))
    assert send(backend, *facts).refused == 0
    return backend


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.mark.parametrize("field", ["params.net", "tags.note"])
@pytest.mark.parametrize("text", [*TEXTS, f"{STEM}c", f"{'y' * (2 * HEAD)}zz"])
def test_conditions_see_the_whole_text(filled: LocalBackend, field: str, text: str) -> None:
    def found(condition: str) -> set[str]:
        page = filled.call(ops.SearchRuns(filter=f"{field} {condition}"))
        return {run.params["net"] for run in page.runs}

    assert found(f"= {quoted(text)}") == {other for other in TEXTS if other == text}
    assert found(f"!= {quoted(text)}") == {other for other in TEXTS if other != text}
    assert found(f"IN ({quoted(text)}, 'x')") == {o for o in TEXTS if o in {text, "x"}}
    assert found(f"NOT IN ({quoted(text)}, 'x')") == {o for o in TEXTS if o not in {text, "x"}}


def test_patterns_see_the_end_of_a_long_text(filled: LocalBackend) -> None:
    for pattern, shape in (("%yz", "*yz"), ("x%a", "x*a"), (f"{STEM}_b%", f"{STEM}?b*")):
        page = filled.call(ops.SearchRuns(filter=f"params.net LIKE {quoted(pattern)}"))
        found = {run.params["net"] for run in page.runs}
        assert found == {text for text in TEXTS if fnmatchcase(text, shape)}
        assert found


def test_an_order_goes_through_all_pages(filled: LocalBackend) -> None:
    texts: list[str] = []
    token = ""
    while True:
        page = filled.call(
            ops.SearchRuns(order_by=["params.net ASC"], max_results=2, page_token=token)
        )
        texts += [run.params["net"] for run in page.runs]
        token = page.next_page_token
        if not token:
            break
    assert sorted(texts) == sorted(TEXTS)
    assert [text[:HEAD] for text in texts] == sorted(text[:HEAD] for text in TEXTS)


def test_the_longest_text_and_path_are_kept_whole(backend: LocalBackend) -> None:
    text = incompressible(MAX_PARAM_VALUE)
    path = incompressible(MAX_PATH_BYTES // 4)
    receipt = send(
        backend,
        f.RunStarted(run_id="night", start_ms=1),
        f.ParamsLogged(run_id="night", params={incompressible(250): text}),
        f.TagsSet(run_id="night", tags={"note": text}),
        f.ArtifactLogged(run_id="night", path=path, sha256="0" * 64, size_bytes=0, at_ms=1),
        f.RunEnded(run_id="night", status=RunStatus.FINISHED, end_ms=2),
    )
    assert receipt.refused == 0
    run = backend.call(ops.GetRun(run_id="night"))
    assert list(run.params.values()) == [text]
    assert run.tags["note"] == text
    assert [file.path for file in backend.call(ops.ListArtifacts(run_id="night"))] == [path]
    assert backend.run_sql("SELECT value FROM params").rows == [(text,)]
    copy = backend.call(ops.CopyRun(run_id="night", new_run_id="copy"))
    assert copy.tags["note"] == text
