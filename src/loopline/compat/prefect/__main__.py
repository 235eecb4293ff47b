"""Run a Prefect 1 script as it is: ``python -m loopline.compat.prefect script.py [ARGUMENTS]``.

In the script ``import prefect`` means Loopline, also where Prefect is installed.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from loopline.flows.shipping.prefect_alias import install

USAGE = """\
Run a Prefect 1 script on Loopline, with not a line changed.

  python -m loopline.compat.prefect SCRIPT [ARGUMENTS]
  python -m loopline.compat.prefect -m MODULE [ARGUMENTS]

In it `import prefect` means Loopline. Then replace the word in the imports by
`loopline.compat.prefect`, and run it with plain `python`.
"""


def main() -> int:
    """Run the script that the command line names."""
    arguments = sys.argv[1:]
    is_module = arguments[:1] == ["-m"]
    if is_module:
        arguments = arguments[1:]
    if not arguments or arguments[0].startswith("-"):
        is_help = arguments[:1] in (["-h"], ["--help"])
        (sys.stdout if is_help else sys.stderr).write(USAGE)
        return 0 if is_help else 2
    target = arguments[0]
    if not is_module and not Path(target).is_file():
        sys.stderr.write(f"There is no file {target!r} here. Name the script to run.\n")
        return 2
    install(over=True)
    sys.argv = arguments
    if is_module:
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(target, run_name="__main__", alter_sys=True)
    else:
        # As `python script.py` has it: the modules beside the script can be imported.
        sys.path.insert(0, str(Path(target).resolve().parent))
        runpy.run_path(target, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
