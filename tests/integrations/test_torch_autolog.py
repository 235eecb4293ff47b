"""Lightning and the Hugging Face Trainer by themselves, and with the classes one passes along.

PyTorch is imported by the tests themselves, so that collecting them needs none: only the
environment of the deep tests has it.
"""

from __future__ import annotations

import pickle
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

import loopline
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integrations.conftest import Runs

pytestmark = [
    pytest.mark.deep,
    # What PyTorch, Lightning and transformers say to each other is not ours to change.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("error::loopline.integrations.guard.AutologWarning"),
]


def values(run_id: str, key: str) -> list[float]:
    return list(loopline.get_metric_history(run_id, key).values)


def needed(name: str) -> Any:  # noqa: ANN401 - a module
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        pytest.fail(f"{error}. Install what the deep tests need: make environment-deep")


# --- Lightning ---


@pytest.fixture
def lightning() -> Any:  # noqa: ANN401 - a module
    return needed("lightning.pytorch")


@pytest.fixture
def loader() -> Any:  # noqa: ANN401 - a DataLoader
    torch = needed("torch")
    rows = torch.rand(32, 2, generator=torch.Generator().manual_seed(2023))
    data = torch.utils.data.TensorDataset(rows, 3 + 2.5 * rows[:, 0])
    return torch.utils.data.DataLoader(data, batch_size=16)


@pytest.fixture
def network(lightning: Any) -> Any:  # noqa: ANN401 - a LightningModule
    torch = needed("torch")

    class FareNetwork(lightning.LightningModule):  # type: ignore[misc] # no types here
        def __init__(self, rate: float = 0.1) -> None:  # noqa: ARG002 - Lightning reads it
            super().__init__()
            self.save_hyperparameters()
            self.line = torch.nn.Linear(2, 1)

        def error(self, batch: Any) -> Any:  # noqa: ANN401 - tensors
            rows, fares = batch
            return torch.nn.functional.mse_loss(self.line(rows)[:, 0], fares)

        def training_step(self, batch: Any, _number: int) -> Any:  # noqa: ANN401 - tensors
            error = self.error(batch)
            self.log("train_error", error)
            return error

        def validation_step(self, batch: Any, _number: int) -> None:  # noqa: ANN401 - tensors
            self.log("val_error", self.error(batch))

        def configure_optimizers(self) -> Any:  # noqa: ANN401 - an optimizer
            return torch.optim.SGD(self.parameters(), lr=self.hparams.rate)

    return FareNetwork()


def trainer(lightning: Any, **options: Any) -> Any:  # noqa: ANN401 - a Trainer
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return lightning.Trainer(
        **{"max_epochs": 3, "logger": False, "log_every_n_steps": 1, **quiet, **options}
    )


def test_a_lightning_fit_logs_params_epochs_data_and_weights(
    lightning: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    loader: Any,  # noqa: ANN401
    runs: Runs,
) -> None:
    loopline.lightning.autolog(checkpoint=True)
    training = trainer(lightning)
    before = list(training.callbacks)
    assert training.fit(network, loader, loader) is None
    assert training.callbacks == before
    run = runs.only()
    assert run.status is RunStatus.FINISHED
    assert (run.params["rate"], run.params["optimizer_name"]) == ("0.1", "SGD")
    assert run.params["max_epochs"] == "3"
    assert len(values(run.run_id, "train_error")) == 3
    assert values(run.run_id, "val_error") == sorted(values(run.run_id, "val_error"), reverse=True)
    assert runs.with_data("training data") == [run.run_id]
    assert runs.files(run) == {"checkpoints", "model", "model_summary.txt"}
    (weights,) = loopline.list_artifacts(run.run_id, "model")
    assert weights.path == "model/weights.safetensors"


def test_lightnings_early_stopping_tells_where_and_at_what(
    lightning: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    loader: Any,  # noqa: ANN401
    runs: Runs,
) -> None:
    loopline.lightning.autolog(log_models=False)
    stopping = lightning.callbacks.EarlyStopping("val_error", patience=1, min_delta=1e6)
    trainer(lightning, max_epochs=9, callbacks=[stopping]).fit(network, loader, loader)
    run = runs.only()
    assert run.params["early_stopping_min_delta"] == "1000000.0"
    assert run.metrics["stopped_epoch"].value == stopping.stopped_epoch == 1
    assert run.metrics["best_score"].value == pytest.approx(float(stopping.best_score))


def test_the_lightning_logger_logs_by_step_into_a_run_of_its_own(
    lightning: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    loader: Any,  # noqa: ANN401
    runs: Runs,
) -> None:
    logger = loopline.lightning.LooplineLogger("night shift", prefix="fare", log_model=True)
    trainer(lightning, logger=logger).fit(network, loader)
    run = runs.only()
    assert (run.name, run.status) == ("night shift", RunStatus.FINISHED)
    assert logger.version == run.run_id
    assert run.params["rate"] == "0.1"
    assert list(loopline.get_metric_history(run.run_id, "fare-train_error").steps) == list(range(6))
    assert runs.files(run) == {"checkpoints"}
    assert loopline.active_run() is None
    there = pickle.loads(pickle.dumps(logger))  # noqa: S301 - ours
    assert there.version == run.run_id


def test_the_lightning_callback_alone_and_an_error_that_comes_through(
    lightning: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    loader: Any,  # noqa: ANN401
    runs: Runs,
) -> None:
    class Flat(lightning.Callback):  # type: ignore[misc] # no types here
        def on_train_epoch_end(self, training: Any, _module: Any) -> None:  # noqa: ANN401
            if training.current_epoch == 1:
                msg = "flat tyre"
                raise RuntimeError(msg)

    ours = loopline.lightning.LooplineCallback()
    assert pickle.loads(pickle.dumps(ours))  # noqa: S301 - as spawned workers do
    with pytest.raises(RuntimeError, match="flat tyre"):
        trainer(lightning, callbacks=[Flat(), ours]).fit(network, loader)
    assert runs.only().status is RunStatus.FAILED
    assert len(values(runs.only().run_id, "train_error")) == 1


# --- Hugging Face Trainer ---


@pytest.fixture
def transformers() -> Any:  # noqa: ANN401 - a module
    needed("torch")
    return needed("transformers")


@pytest.fixture
def make_trainer(transformers: Any, tmp_path: Path) -> Any:  # noqa: ANN401 - a function
    """Trainers of a tiny model that tells long trips from short ones."""
    torch = needed("torch")
    rows = torch.arange(16)
    data = [
        {
            "input_ids": torch.tensor([1, int(row), 2]),
            "attention_mask": torch.ones(3, dtype=torch.long),
            "labels": torch.tensor(int(row) // 8),
        }
        for row in rows
    ]
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )

    def make(*, callbacks: Any = None, **options: Any) -> Any:  # noqa: ANN401 - the Trainer's
        arguments = transformers.TrainingArguments(
            str(tmp_path / "out"),
            **{
                "num_train_epochs": 2,
                "logging_steps": 1,
                "eval_strategy": "epoch",
                "use_cpu": True,
                "disable_tqdm": True,
                "report_to": "none",
                **options,
            },
        )
        return transformers.Trainer(
            transformers.BertForSequenceClassification(config),
            arguments,
            train_dataset=data,
            eval_dataset=data,
            callbacks=callbacks,
        )

    return make


def test_a_trainer_logs_arguments_metrics_by_step_and_the_model(
    make_trainer: Any,  # noqa: ANN401
    runs: Runs,
) -> None:
    loopline.transformers.autolog(log_models=True)
    training = make_trainer(learning_rate=0.01, hub_token="hf_canary")  # noqa: S106 - must not stay
    before = list(training.callback_handler.callbacks)
    result = training.train()
    assert training.callback_handler.callbacks == before
    run = runs.only()
    assert run.status is RunStatus.FINISHED
    assert (run.params["learning_rate"], run.params["model_type"]) == ("0.01", "bert")
    assert not any("canary" in text for text in run.params.values())
    history = loopline.get_metric_history(run.run_id, "loss")
    assert list(history.steps) == [1, 2, 3, 4]
    assert len(values(run.run_id, "eval_loss")) == 2
    assert run.metrics["train_loss"].value == pytest.approx(result.training_loss)
    assert run.metrics["stopped_step"].value == 4
    assert runs.files(run) == {"model", "model_config.json", "training_arguments.json"}
    names = {file.path for file in loopline.list_artifacts(run.run_id, "model")}
    assert names == {"model/config.json", "model/model.safetensors"}


def test_report_to_loopline_and_the_callback_log_a_run_each(
    transformers: Any,  # noqa: ANN401, ARG001
    make_trainer: Any,  # noqa: ANN401
    runs: Runs,
) -> None:
    ours = loopline.transformers.LooplineCallback()
    make_trainer(callbacks=[ours]).train()
    make_trainer(report_to="loopline").train()
    assert [run.status for run in runs.all()] == [RunStatus.FINISHED] * 2
    assert all(run.metrics["loss"].count == 4 for run in runs.all())


def test_a_trainer_stopped_early_tells_its_best(
    transformers: Any,  # noqa: ANN401
    make_trainer: Any,  # noqa: ANN401
    runs: Runs,
) -> None:
    loopline.transformers.autolog()
    make_trainer(
        callbacks=[transformers.EarlyStoppingCallback(1, early_stopping_threshold=1e6)],
        num_train_epochs=9,
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
    ).train()
    run = runs.only()
    assert run.metrics["stopped_epoch"].value == 2
    assert run.metrics["best_metric"].value == min(values(run.run_id, "eval_loss")[:2])


def test_disable_restores_the_trainers_exactly(lightning: Any, transformers: Any) -> None:  # noqa: ANN401
    def found() -> list[Any]:
        return [vars(lightning.Trainer)["fit"], vars(transformers.Trainer)["train"]]

    before = found()
    loopline.autolog()
    assert all(now is not then for now, then in zip(found(), before, strict=True))
    loopline.autolog(disable=True)
    assert found() == before
