"""Every public name of Prefect 1.4.1 is here under its module, or says what to do instead.

``prefect_1_4_1.json`` holds module → names, read off the real package by looking at what each of
its modules defines.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from loopline.compat.prefect.refusals import RefusedError

HERE = "loopline.compat.prefect"
NAMES: dict[str, list[str]] = json.loads(Path(__file__).with_name("prefect_1_4_1.json").read_text())


def find(module: str, name: str) -> object:
    """Import a name as a program does; what is not here is an error that says more than that."""
    path = f"{HERE}.{module}" if module else HERE
    return getattr(importlib.import_module(path), name)


@pytest.mark.parametrize("module", NAMES)
def test_every_name_is_here_or_says_what_to_do_instead(module: str) -> None:
    lost = []
    for name in NAMES[module]:
        try:
            found = find(module, name)
        except RefusedError as refusal:
            if "is not in Loopline. " not in str(refusal):
                lost.append(f"{name}: {refusal}")
        except (AttributeError, ImportError) as error:
            lost.append(f"{name}: {error}")
        else:
            assert found is not None
    assert lost == []
