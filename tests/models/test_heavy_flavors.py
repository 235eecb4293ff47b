"""CatBoost, ONNX and PyTorch models: back as they were, safely, and as MLflow has them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from loopline.errors import IntegrityError, InvalidInputError, UnsafeModelError, UnsupportedError
from loopline.models import load_model, pyfunc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

pytestmark = pytest.mark.deep

NUMBERS = ["trip_distance", "pickup_hour"]


def flavor(name: str) -> Any:  # noqa: ANN401
    return import_module(f"loopline.{name}")


@pytest.fixture
def rows(trips: pd.DataFrame) -> pd.DataFrame:
    return trips[NUMBERS].astype(float)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def catboost_model(rows: pd.DataFrame, fares: NDArray[np.float64], kind: str) -> Any:  # noqa: ANN401
    catboost = import_module("catboost")
    options = {"iterations": 5, "depth": 3, "verbose": False, "allow_writing_files": False}
    target = fares if kind == "CatBoostRegressor" else fares > 30
    return getattr(catboost, kind)(thread_count=1, **options).fit(rows, target)


def onnx_model() -> Any:  # noqa: ANN401
    """A line: 2.5 dollars a mile and 0.1 an hour, and 3 to begin with."""
    onnx = import_module("onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    weights = helper.make_tensor("weights", number, [2, 1], [2.5, 0.1])
    start = helper.make_tensor("start", number, [1], [3.0])
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["trips", "weights"], ["miles"]),
            helper.make_node("Add", ["miles", "start"], ["fare"]),
        ],
        "fare",
        [helper.make_tensor_value_info("trips", number, [None, 2])],
        [helper.make_tensor_value_info("fare", number, [None, 1])],
        [weights, start],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10)


def torch_model() -> Any:  # noqa: ANN401
    torch = import_module("torch")
    torch.manual_seed(7)
    return torch.nn.Sequential(
        torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)
    )


# --- CatBoost ---


@pytest.mark.parametrize("kept_as", ["cbm", "json"])
@pytest.mark.parametrize("kind", ["CatBoostRegressor", "CatBoostClassifier"])
def test_a_catboost_model_comes_back_as_what_it_was(
    folder: Path, rows: pd.DataFrame, fares: NDArray[np.float64], kind: str, kept_as: str
) -> None:
    model = catboost_model(rows, fares, kind)
    flavor("catboost").save_model(model, folder, input_example=rows.head(2), model_format=kept_as)
    scored = pyfunc.load_model(folder)
    assert type(scored.native) is type(model)
    found, expected = scored.predict(rows), model.predict(rows)
    if kept_as == "json" and kind == "CatBoostRegressor":
        assert found == pytest.approx(expected)  # Decimal digits: the last of them differ.
    else:
        assert (found == expected).all()
    assert scored.signature is not None
    with pytest.raises(InvalidInputError, match="pickup_hour"):
        scored.predict(rows[["trip_distance"]])
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines} == {"catboost", "numpy", "pandas"}


def test_what_is_no_catboost_model_is_refused(folder: Path, rows: pd.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match="is no CatBoost model"):
        flavor("catboost").save_model(object(), folder)
    with pytest.raises(InvalidInputError, match="not fitted"):
        flavor("catboost").save_model(import_module("catboost").CatBoostRegressor(), folder)
    flavor("catboost").save_model(
        catboost_model(rows, rows["trip_distance"].to_numpy(), "CatBoostRegressor"), folder
    )
    path = folder / "MLmodel"
    text = path.read_text()
    for forged in ("model_type: Pool", "model_type: utils", "model_type: os.system"):
        path.write_text(text.replace("model_type: CatBoostRegressor", forged))
        with pytest.raises(UnsupportedError, match="Loopline loads"):
            load_model(folder)
    path.write_text(text.replace("save_format: cbm", "save_format: python"))
    with pytest.raises(UnsupportedError):
        load_model(folder)


TRY = """
import sys
from pathlib import Path
import numpy as np
from loopline.errors import LooplineError
from loopline.models import pyfunc
folder, name, count, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
data = (folder / name).read_bytes()
rng = np.random.default_rng(seed)
refused = 0
for number in range(count):
    forged = bytearray(data)
    if number % 2:
        for place in rng.integers(0, len(data), 3):
            forged[place] = rng.integers(0, 256)
    else:
        del forged[rng.integers(0, len(data)):]
    (folder / name).write_bytes(forged)
    try:
        pyfunc.load_model(folder)
    except LooplineError:
        refused += 1
    except Exception as error:
        sys.exit(f"{type(error).__module__}.{type(error).__name__}: {error}")
print(refused)
"""


@pytest.mark.parametrize("library", ["catboost", "onnx", "pytorch"])
def test_a_damaged_file_is_an_error_of_ours_and_never_the_end_of_the_process(
    folder: Path, rows: pd.DataFrame, fares: NDArray[np.float64], library: str
) -> None:
    made: dict[str, Callable[[], tuple[Any, str]]] = {
        "catboost": lambda: (catboost_model(rows, fares, "CatBoostRegressor"), "model.cb"),
        "onnx": lambda: (onnx_model(), "model.onnx"),
        "pytorch": lambda: (torch_model(), "data/model.pth"),
    }
    model, name = made[library]()
    flavor(library).save_model(model, folder)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRY, str(folder), name, "60", "11"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


# --- ONNX ---


def test_an_onnx_model_comes_back_and_gives_what_mlflow_gives(
    folder: Path, rows: pd.DataFrame
) -> None:
    flavor("onnx").save_model(onnx_model(), folder, input_example=rows.head(2))
    native = load_model(folder)
    assert native == onnx_model()
    scored = pyfunc.load_model(folder)
    fares = 3.0 + 2.5 * rows["trip_distance"] + 0.1 * rows["pickup_hour"]
    table = scored.predict(rows)
    assert list(table.columns) == ["fare"]
    assert table["fare"].to_numpy() == pytest.approx(fares.to_numpy(), rel=1e-5)
    with pytest.raises(InvalidInputError, match="pickup_hour"):
        scored.predict(rows[["trip_distance"]])
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines} == {"numpy", "onnx", "onnxruntime", "pandas"}


def test_arrays_give_a_dict_of_arrays(folder: Path) -> None:
    flavor("onnx").save_model(onnx_model(), folder, input_example=np.ones((1, 2), np.float32))
    found = pyfunc.load_model(folder).predict(np.ones((1, 2), np.float32))
    assert found["fare"] == pytest.approx(np.array([[5.6]]))


def test_numbers_of_a_large_onnx_model_lie_beside_it(
    folder: Path, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = import_module("onnx")
    model = onnx_model()
    values = np.linspace(0, 1, 2000, dtype=np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(values, "unused"))
    monkeypatch.setattr("loopline.models.onnx.EXTERNAL_FROM_BYTES", 100)
    flavor("onnx").save_model(model, folder)
    assert (folder / "model.onnx.data").stat().st_size >= 8000
    assert model.graph.initializer[-1].raw_data, "the caller's own is whole"
    scored = pyfunc.load_model(folder)
    assert scored.predict(rows)["fare"].iloc[0] > 3.0


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "link", "inner/../../secret"])
def test_onnx_data_outside_the_folder_are_never_read(
    folder: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = import_module("onnx")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(b"\0" * 8)
    flavor("onnx").save_model(onnx_model(), folder)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "inner").mkdir()
    model = onnx_model()
    inner = onnx.helper.make_graph([], "inner", [], [], [forged_tensor(onnx, place)])
    for where in ("initializer", "attribute"):
        forged = onnx.ModelProto()
        forged.CopyFrom(model)
        if where == "initializer":
            forged.graph.initializer[0].CopyFrom(forged_tensor(onnx, place))
        else:  # Deep in a subgraph, where a look at the graph's own tensors does not get.
            forged.graph.node[0].attribute.append(onnx.helper.make_attribute("body", inner))
        (folder / "model.onnx").write_bytes(forged.SerializeToString())
        with pytest.raises(IntegrityError, match="outside its folder"):
            load_model(folder)


def forged_tensor(onnx: Any, place: str) -> Any:  # noqa: ANN401
    tensor = onnx.helper.make_tensor("weights", onnx.TensorProto.FLOAT, [2, 1], [0.0, 0.0])
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    return tensor


def test_providers_and_options_that_a_file_asks_for_are_left_aside(
    folder: Path, tmp_path: Path, rows: pd.DataFrame
) -> None:
    flavor("onnx").save_model(onnx_model(), folder)
    path = folder / "MLmodel"
    settings = yaml.safe_load(path.read_text())
    library = str(tmp_path / "evil.so")
    settings["flavors"]["onnx"]["providers"] = [["EvilProvider", {"library_path": library}]]
    settings["flavors"]["onnx"]["onnx_session_options"] = {
        "extra_session_config": {"session.custom_ops_library": library}
    }
    path.write_text(yaml.safe_dump(settings))
    assert pyfunc.load_model(folder).predict(rows)["fare"].iloc[0] > 3.0


# --- PyTorch ---


def test_a_module_of_known_layers_comes_back_without_code(folder: Path, rows: pd.DataFrame) -> None:
    torch = import_module("torch")
    model = torch_model()
    flavor("pytorch").save_model(model, folder, input_example=rows.head(2).astype("float32"))
    assert model.training
    scored = pyfunc.load_model(folder)
    assert not scored.native.training
    with torch.no_grad():
        expected = model.eval()(torch.tensor(rows.to_numpy(np.float32))).numpy()
    found = scored.predict(rows.astype("float32"))
    assert found.to_numpy() == pytest.approx(expected)
    assert load_model(folder)(torch.ones(1, 2)).shape == (1, 1)
    with pytest.raises(InvalidInputError, match="pickup_hour"):
        scored.predict(rows[["trip_distance"]])
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines} == {"numpy", "pandas", "torch"}


def test_many_kinds_of_layers_are_known(folder: Path) -> None:
    torch = import_module("torch")
    nn = torch.nn
    model = nn.ModuleDict(
        {
            "text": nn.TransformerEncoderLayer(8, 2, activation="gelu"),
            "encoder": nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 1),
            "memory": nn.LSTM(4, 3),
            "picture": nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.SiLU()),
            "words": nn.Embedding(10, 4),
        }
    )
    flavor("pytorch").save_model(model, folder)
    back = load_model(folder)
    state = back.state_dict()
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


NET = """
import torch

class FareNet(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = torch.nn.Linear(2, width)
        self.width = width

    def forward(self, trips):
        return self.inner(trips).sum(dim=1, keepdim=True)
"""


def test_a_class_of_ones_own_needs_to_be_imported_or_allowed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = import_module("torch")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "fare_net.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path / "code")
    fare_net = import_module("fare_net")
    model = fare_net.FareNet(5)
    flavor("pytorch").save_model(model, folder)
    assert (folder / "code" / "fare_net.py").read_text() == NET
    expected = model(torch.ones(1, 2)).item()
    assert load_model(folder)(torch.ones(1, 2)).item() == expected

    program = (
        "import sys, torch, loopline\n"
        "from loopline.errors import UnsafeModelError\n"
        "try:\n"
        "    loopline.load_model(sys.argv[1])\n"
        "except UnsafeModelError as error:\n"
        "    print('fare_net' in sys.modules, 'import fare_net first' in str(error))\n"
        "print(loopline.load_model(sys.argv[1], allow_pickle=True)(torch.ones(1, 2)).item())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.stdout.split() == ["False", "True", str(expected)], done.stderr


class Config:
    """Something that is no module, inside one."""


def test_what_cannot_be_rebuilt_safely_is_refused_when_it_is_saved(folder: Path) -> None:
    torch = import_module("torch")
    model = torch.nn.Linear(1, 1)
    model.config = Config()
    with pytest.raises(UnsafeModelError, match="serialization_format='cloudpickle'"):
        flavor("pytorch").save_model(model, folder)
    flavor("pytorch").save_model(model, folder, trusted_types=[Config])
    with pytest.raises(UnsafeModelError, match="trusted_types"):
        load_model(folder)
    back = flavor("pytorch").load_model(folder, trusted_types=[Config])
    assert isinstance(back.config, Config)


def test_a_module_by_value_needs_to_be_allowed(folder: Path) -> None:
    torch = import_module("torch")
    model = torch_model()
    model.scale = lambda values: values * 2
    flavor("pytorch").save_model(model, folder, serialization_format="cloudpickle")
    with pytest.raises(UnsafeModelError):
        load_model(folder)
    assert load_model(folder, allow_pickle=True).scale(2) == 4
    with pytest.raises(InvalidInputError, match=r"no torch\.nn\.Module"):
        flavor("pytorch").save_model(torch.ones(1), folder.with_name("other"))


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("form", ["zip", "pickle", "exported"])
def test_a_bomb_in_the_place_of_a_module_is_not_run(
    folder: Path, tmp_path: Path, form: str
) -> None:
    torch = import_module("torch")
    flavor("pytorch").save_model(torch_model(), folder)
    path, mark = folder / "data" / "model.pth", tmp_path / "mark"
    if form == "pickle":
        path.write_bytes(pickle.dumps(Bomb(mark)))
    else:
        torch.save(Bomb(mark), path)
    if form == "exported":
        path.rename(path.with_suffix(".pt2"))
    for load in (load_model, pyfunc.load_model):
        with pytest.raises(UnsafeModelError):
            load(folder)
    assert not mark.exists()
