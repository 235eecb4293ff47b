"""What somebody's training does with MLflow's client: ``python client_script.py URL RUNS``.

Runs with ten params and a hundred points each, one call a point, and at the end a model that is
registered. Prints one line of JSON: wall time and this process's CPU, imports left out.
"""

from __future__ import annotations

import json
import sys
import time

import mlflow
import mlflow.sklearn
import numpy as np
from sklearn.linear_model import LinearRegression


def main() -> None:
    """Run it."""
    mlflow.set_tracking_uri(sys.argv[1])
    runs = int(sys.argv[2])
    distance = np.linspace(1, 20, 50).reshape(-1, 1)
    model = LinearRegression().fit(distance, 2.5 * distance[:, 0] + 3)
    began, cpu = time.perf_counter(), time.process_time()
    mlflow.set_experiment(f"wagoncab {runs}")
    for number in range(runs):
        with mlflow.start_run():
            mlflow.log_params({f"p{index}": number + index for index in range(10)})
            for step in range(100):
                mlflow.log_metric("rmse", 3 + 1 / (step + 1), step=step)
            if number == runs - 1:
                mlflow.sklearn.log_model(
                    model, "model", registered_model_name="taxifare", pip_requirements=[]
                )
    took = {"wall_s": time.perf_counter() - began, "client_cpu_s": time.process_time() - cpu}
    print(json.dumps(took))


if __name__ == "__main__":
    main()
