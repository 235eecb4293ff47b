"""Integrations of other libraries that call MLflow, as they are; prints what they logged as JSON.

Usage: ``mlflow_integrations.py URL keras|lightning|optuna|transformers``
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

os.environ["KERAS_BACKEND"] = "jax"

import mlflow
import numpy as np

X = np.random.default_rng(1).random((64, 3), dtype="float32")
Y = X.sum(axis=1)


def train_with_keras() -> str:
    """Train with MLflow's own callback."""
    import keras

    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with mlflow.start_run() as run:
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[mlflow.keras.MlflowCallback(run)])
    return str(run.info.run_id)


def train_with_lightning() -> str:
    """Train with Lightning's logger, which keeps checkpoints with the run."""
    import lightning
    import torch
    from lightning.pytorch.loggers import MLFlowLogger

    class Model(lightning.LightningModule):  # type: ignore[misc, unused-ignore] # deep tier alone
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)
            self.save_hyperparameters({"lr": 0.1})

        def training_step(self, batch: list[torch.Tensor], _index: int) -> torch.Tensor:
            loss: torch.Tensor = ((self.layer(batch[0])[:, 0] - batch[1]) ** 2).mean()
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    logger = MLFlowLogger("integrations", tracking_uri=sys.argv[1], log_model=True)
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    trainer = lightning.Trainer(
        max_epochs=2, logger=logger, enable_progress_bar=False, log_every_n_steps=1
    )
    trainer.fit(Model(), torch.utils.data.DataLoader(data, 16))
    return str(logger.run_id)


def train_with_optuna() -> str:
    """Search with Optuna's callback, a run for each trial; tell the best."""
    import optuna
    from optuna_integration import MLflowCallback

    report = MLflowCallback(sys.argv[1], metric_name="rmse", mlflow_kwargs={"nested": True})
    study = optuna.create_study(study_name="integrations", sampler=optuna.samplers.RandomSampler(1))

    @report.track_in_mlflow()  # type: ignore[untyped-decorator, unused-ignore]
    def rmse(trial: optuna.Trial) -> float:
        depth = trial.suggest_int("depth", 1, 9)
        for step in range(3):
            mlflow.log_metric("loss", depth / (step + 1), step=step)
        return float(depth)

    study.optimize(rmse, n_trials=4, callbacks=[report])
    runs = mlflow.MlflowClient().search_runs(
        [mlflow.get_experiment_by_name("integrations").experiment_id],
        filter_string="tags.direction = 'MINIMIZE'", order_by=["metrics.rmse"],
    )  # fmt: skip
    assert len(runs) == 4
    assert runs[0].data.metrics["rmse"] == study.best_value
    return str(runs[0].info.run_id)


def train_with_transformers() -> str:
    """Train with the Trainer's own report to MLflow."""
    import torch
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        Trainer,
        TrainingArguments,
    )

    small = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8,
    )  # fmt: skip
    rows = [
        {"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor(index % 2)}
        for index in range(16)
    ]
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
        settings = TrainingArguments(
            folder, report_to=["mlflow"], num_train_epochs=2, logging_steps=1, use_cpu=True,
            save_strategy="no",
        )  # fmt: skip
        Trainer(BertForSequenceClassification(small), settings, train_dataset=rows).train()
    return str(run.info.run_id)


def main() -> None:
    """Train, and tell what the server has of it."""
    mlflow.set_tracking_uri(sys.argv[1])
    mlflow.set_experiment("integrations")
    train = {
        "keras": train_with_keras,
        "lightning": train_with_lightning,
        "optuna": train_with_optuna,
        "transformers": train_with_transformers,
    }
    run_id = train[sys.argv[2]]()
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    seen = {
        "status": run.info.status,
        "params": run.data.params,
        "points": {
            key: len(client.get_metric_history(run_id, key)) for key in run.data.metrics
        },
        "files": [file.path for file in client.list_artifacts(run_id)],
    }  # fmt: skip
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
