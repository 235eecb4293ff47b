"""What a process with a real MLflow does with model folders; prints JSON.

    python flavors_in_mlflow.py load FOLDER ROWS.json
    python flavors_in_mlflow.py save FLAVOR FOLDER ROWS.json

``LOOPLINE_TEST_SITE`` is where libraries are found that MLflow's own environment lacks.
"""

import json
import os
import site
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")
import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

site.addsitedir(os.environ["LOOPLINE_TEST_SITE"])


def main() -> None:
    """Do what the command line says."""
    command, *rest = sys.argv[1:]
    with open(rest[-1], encoding="utf-8") as file:  # noqa: PTH123
        rows = pd.DataFrame(json.load(file))
    if command == "load":
        model = mlflow.pyfunc.load_model(rest[0])
        schema = model.metadata.get_input_schema()
        names = schema.input_names() if schema else []
        print(json.dumps({"names": names, "found": plain(model.predict(rows))}))
        return
    print(json.dumps(plain(SAVE[rest[0]](rest[1], rows))))


def plain(found: Any) -> list[float]:  # noqa: ANN401
    """Turn predictions into a flat list of numbers."""
    if isinstance(found, dict):
        found = next(iter(found.values()))
    return [float(value) for value in np.asarray(found, dtype=float).reshape(-1)]


def save_catboost(folder: str, rows: pd.DataFrame) -> object:
    """Write a regressor with mlflow.catboost."""
    from catboost import CatBoostRegressor

    options = {"iterations": 3, "verbose": False, "allow_writing_files": False}
    model = CatBoostRegressor(**options).fit(rows, rows.sum(axis=1))
    mlflow.catboost.save_model(model, folder, input_example=rows.head(2))
    return model.predict(rows)


def save_onnx(folder: str, rows: pd.DataFrame) -> object:
    """Write a doubling graph with mlflow.onnx."""
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Add", ["trips", "trips"], ["twice"])],
        "twice",
        [helper.make_tensor_value_info("trips", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("twice", TensorProto.FLOAT, [None, 2])],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    onnx.checker.check_model(model)
    mlflow.onnx.save_model(model, folder)
    return rows.to_numpy() * 2


def save_pytorch(folder: str, rows: pd.DataFrame) -> object:
    """Write layers with mlflow.pytorch, as pickles."""
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()).eval()
    mlflow.pytorch.save_model(model, folder, serialization_format="pickle")
    with torch.no_grad():
        return model(torch.tensor(rows.to_numpy(np.float32))).numpy()


def save_pyfunc(folder: str, rows: pd.DataFrame) -> object:
    """Write a class with mlflow.pyfunc; it needs MLflow where it is loaded."""

    class Twice(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: object, model_input: Any, params: Any = None) -> Any:  # noqa: ANN401, ARG002
            return model_input * 2

    mlflow.pyfunc.save_model(folder, python_model=Twice())
    return rows.to_numpy() * 2


SAVE = {
    "catboost": save_catboost,
    "onnx": save_onnx,
    "pytorch": save_pytorch,
    "pyfunc": save_pyfunc,
}

if __name__ == "__main__":
    main()
