"""LitServe's server of the folder's scikit-learn model: ``python serve_litserve.py FOLDER PORT``.

It takes the same body as the others. ``BENCHMARK_BATCH`` has it gather that many requests, which it
waits for as long as its makers' examples do.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import litserve
import pandas as pd
import skops.io

BATCH = int(os.environ.get("BENCHMARK_BATCH", "1"))


class Fares(litserve.LitAPI):  # type: ignore[misc] - only in the peer's environment
    """One row, or a list of them where requests are gathered."""

    def setup(self, device: str) -> None:
        """Load the model."""
        del device
        path = f"{sys.argv[1]}/model.skops"
        self.model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Read the body; a type written as text it would take for a query."""
        split = request["dataframe_split"]
        return pd.DataFrame(split["data"], columns=split["columns"])

    def batch(self, inputs: list[pd.DataFrame]) -> pd.DataFrame:
        """Put one row of each request into one table."""
        return pd.concat(inputs, ignore_index=True)

    def predict(self, x: pd.DataFrame) -> Any:  # noqa: ANN401 - an array
        """Ask the model."""
        return self.model.predict(x)

    def unbatch(self, output: Any) -> Any:  # noqa: ANN401 - an array
        """Give each request its row."""
        return [output[at : at + 1] for at in range(len(output))]

    def encode_response(self, output: Any) -> dict[str, Any]:  # noqa: ANN401 - an array
        """Write the answer."""
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    more = {"max_batch_size": BATCH, "batch_timeout": 0.002} if BATCH > 1 else {}
    server = litserve.LitServer(
        Fares(api_path="/invocations", **more), accelerator="cpu", workers_per_device=1
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False,
        generate_client_file=False, num_api_servers=1,
    )  # fmt: skip
