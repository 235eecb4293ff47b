"""The collector is spared while flows run, and is as it was afterwards."""

from __future__ import annotations

import gc

from loopline.flows.running.collector import sparing_collector


def test_what_is_there_is_passed_over_until_the_last_flow_run_ends() -> None:
    assert gc.get_freeze_count() == 0
    with sparing_collector():
        with sparing_collector():
            assert gc.get_freeze_count() > 0
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_what_a_program_froze_itself_stays_frozen() -> None:
    gc.freeze()
    try:
        with sparing_collector():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
