"""Run the scripts of Prefect 1's features in one process, and print what each has shown.

    python tests/compat/features.py NAME...                    on us
    python tests/compat/features.py --prefect --keep NAME...   on Prefect 1.4.1, kept as data

The second wants an environment with `prefect==1.4.1 "pendulum<3" "setuptools<70" dask`; what it
keeps stands beside each script. Without names: all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"


def run_script(name: str) -> dict[str, object]:
    """Run a script as `python NAME.py` does; return what it has shown, and how it broke."""
    import seen  # type: ignore[import-not-found] # beside the scripts

    seen.SEEN.clear()
    broke = None
    with contextlib.redirect_stdout(sys.stderr):
        try:
            runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
        except Exception:  # noqa: BLE001 - shown; the other scripts still count
            broke = traceback.format_exc()
    return {**seen.SEEN, **({"broke": broke} if broke else {})}


def main(arguments: list[str]) -> None:
    """Run the scripts that are named, or all."""
    on_prefect, keep = "--prefect" in arguments, "--keep" in arguments
    names = [one for one in arguments if not one.startswith("-")]
    names = names or sorted(p.stem for p in SCRIPTS.glob("*.py") if p.stem != "seen")
    sys.path.insert(0, str(SCRIPTS))
    if on_prefect:
        # Its logs and results go where nobody keeps anything; ours always checkpoints.
        os.environ["PREFECT__HOME_DIR"] = tempfile.mkdtemp()
        os.environ["PREFECT__FLOWS__CHECKPOINTING"] = "true"
        os.environ["PREFECT__LOGGING__LEVEL"] = "CRITICAL"
        warnings.simplefilter("ignore")
    else:
        from loopline.flows.shipping.prefect_alias import install

        install(over=True)
    outcomes = {name: run_script(name) for name in names}
    if keep:
        for name, outcome in outcomes.items():
            text = json.dumps(outcome, indent=1, ensure_ascii=False)
            (SCRIPTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    else:
        print(json.dumps(outcomes))


if __name__ == "__main__":
    main(sys.argv[1:])
