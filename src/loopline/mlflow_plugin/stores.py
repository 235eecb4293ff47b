"""MLflow's REST clients, for stores that are opened in this process."""

from __future__ import annotations

from functools import partial
from typing import Any

from mlflow.store.model_registry.rest_store import RestStore as RegistryStore
from mlflow.store.tracking.rest_store import RestStore as TrackingStore
from mlflow.tracking._tracking_service.client import TrackingServiceClient

from loopline.mlflow_plugin.in_process import creds_of

__all__ = ["HomeRegistryStore", "HomeTrackingStore"]


class HomeTrackingStore(TrackingStore):  # type: ignore[misc]
    """Runs, experiments and logged models of a store of ours."""

    def __init__(self, store_uri: str) -> None:
        creds_of(store_uri)  # Now, so that a store that cannot be opened is said where it is named.
        super().__init__(partial(creds_of, store_uri))


class HomeRegistryStore(RegistryStore):  # type: ignore[misc]
    """Registered models of a store of ours."""

    def __init__(self, store_uri: str) -> None:
        creds_of(store_uri)
        super().__init__(partial(creds_of, store_uri))


def _without_links(log_url: Any) -> Any:  # noqa: ANN401 - MLflow's method
    """Keep MLflow from printing a link to a page that no browser reaches."""

    def said(client: Any, run_id: str) -> None:  # noqa: ANN401 - MLflow's client
        if not isinstance(client.store, HomeTrackingStore):
            log_url(client, run_id)

    return said


if hasattr(TrackingServiceClient, "_log_url"):
    TrackingServiceClient._log_url = _without_links(TrackingServiceClient._log_url)  # noqa: SLF001
