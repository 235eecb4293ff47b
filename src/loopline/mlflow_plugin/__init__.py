"""A plug-in for MLflow: ``mlflow.set_tracking_uri("loopline:")`` records to the home, no server.

MLflow finds it by entry points (``pyproject.toml``) and asks it for the stores of ``loopline:``
addresses: ``loopline:`` is the home that Loopline itself would record to, ``loopline:///path`` a
home elsewhere, ``loopline:postgresql://...`` a database. It answers with MLflow's own REST clients,
whose requests go to our server's application in this very process (``in_process.py``): there is
one implementation of the protocol.

Whoever installs Loopline beside MLflow imports this module with MLflow, so it imports nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.mlflow_plugin.artifacts import HomeArtifactRepository
    from loopline.mlflow_plugin.stores import HomeRegistryStore, HomeTrackingStore

__all__ = ["artifact_repository", "registry_store", "tracking_store"]


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> HomeTrackingStore:  # noqa: ARG001
    """Make the tracking store of an address: ``mlflow.tracking_store``."""
    _check_mlflow()
    from loopline.mlflow_plugin.stores import HomeTrackingStore

    return HomeTrackingStore(store_uri)


def registry_store(store_uri: str, tracking_uri: str | None = None) -> HomeRegistryStore:  # noqa: ARG001
    """Make the model registry of an address: ``mlflow.model_registry_store``."""
    _check_mlflow()
    from loopline.mlflow_plugin.stores import HomeRegistryStore

    return HomeRegistryStore(store_uri)


def artifact_repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> HomeArtifactRepository:
    """Make the repository of files at a ``loopline:`` address: ``mlflow.artifact_repository``."""
    _check_mlflow()
    from loopline.mlflow_plugin.artifacts import HomeArtifactRepository

    return HomeArtifactRepository(artifact_uri, tracking_uri, registry_uri)


def _check_mlflow() -> None:
    """Say why MLflow 1 cannot open a store in its process.

    Raises:
        UnsupportedError: It is MLflow 1.
    """
    import mlflow

    from loopline.errors import UnsupportedError

    if mlflow.__version__.startswith("1."):
        msg = (
            f"MLflow {mlflow.__version__} needs SQLAlchemy below 2 and Loopline needs 2, so it "
            "cannot open a store of Loopline's in its own process. Start `loopline server` in an "
            "environment of its own and give MLflow its address, such as http://127.0.0.1:5050; "
            "or take MLflow 2.9 or later here."
        )
        raise UnsupportedError(msg)
