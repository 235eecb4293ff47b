"""MLflow's REST protocol: a thin layer of routes over the same backend as the native ones.

Each route is a row of a table (``rules``): MLflow's request as a record, and the function that
answers it. MLflow's warts (twin routes, its words for errors, sources instead of ids) stay here.
"""

from loopline.server.mlflow.routes import mlflow_routes

__all__ = ["MLFLOW", "mlflow_routes"]

#: Version of MLflow whose server this one answers as.
MLFLOW = "3.17.2"
