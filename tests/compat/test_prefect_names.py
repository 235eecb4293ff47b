"""Every public name of Prefect 1.4.1 is here under its module, or says what to do instead.

``prefect_1_4_1.json`` holds module → names, read off the real package by looking at what each of
its modules defines.
"""

from __future__ import annotations

import pytest
from tests.compat.names_page import NAMES, PAGE, kind_of, render


@pytest.mark.parametrize("module", NAMES)
def test_every_name_is_here_or_says_what_to_do_instead(module: str) -> None:
    for name in NAMES[module]:
        kind, told = kind_of(module, name)
        assert kind in {"same", "adapted"} or len(told) > 20, f"{module}.{name}: {told}"


def test_the_page_of_names_says_what_is_so() -> None:
    assert PAGE.read_text() == render(), (
        "write it anew: PYTHONPATH=. python tests/compat/names_page.py"
    )
