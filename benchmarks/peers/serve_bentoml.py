"""BentoML's service of the folder's scikit-learn model: ``python serve_bentoml.py FOLDER PORT``.

It takes the same body as the others. Its own program serves it, which this one becomes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import bentoml
import pandas as pd
import skops.io


@bentoml.service(workers=1, traffic={"timeout": 60})
class Fares:
    """One row a request."""

    def __init__(self) -> None:
        path = f"{os.environ['BENCHMARK_MODEL']}/model.skops"
        self.model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))

    @bentoml.api
    def invocations(self, dataframe_split: dict[str, Any]) -> dict[str, Any]:
        """Ask the model."""
        table = pd.DataFrame(dataframe_split["data"], columns=dataframe_split["columns"])
        return {"predictions": self.model.predict(table).tolist()}


if __name__ == "__main__":
    os.environ["BENCHMARK_MODEL"] = sys.argv[1]
    program = str(Path(sys.executable).with_name("bentoml"))
    os.execv(  # noqa: S606 - itself
        program,
        [program, "serve", "serve_bentoml:Fares", "--host", "127.0.0.1", "--port", sys.argv[2],
         "--working-dir", str(Path(__file__).parent)],
    )  # fmt: skip
