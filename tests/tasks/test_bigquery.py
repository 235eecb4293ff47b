"""BigQuery: what is said without its client; queries were tried by hand against an emulator."""

from __future__ import annotations

import sys

import pytest

from loopline.errors import InvalidInputError, MissingExtraError
from loopline.tasks import BigQueryQuery


def test_the_client_is_an_extra_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
    with pytest.raises(MissingExtraError, match=r"loopline\[bigquery\]"):
        BigQueryQuery("SELECT 1").run()


def test_a_form_that_does_not_exist_is_refused_at_once() -> None:
    with pytest.raises(InvalidInputError, match="Use one of rows"):
        BigQueryQuery("SELECT 1", fetch="table")
