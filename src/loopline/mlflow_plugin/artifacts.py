"""Files at ``loopline:/artifacts/...``: MLflow's client of proxied files, within this process."""

from __future__ import annotations

import mlflow
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

from loopline.mlflow_plugin.in_process import FILES, base_url

__all__ = ["HomeArtifactRepository"]


class HomeArtifactRepository(HttpArtifactRepository):  # type: ignore[misc]
    """Lists, sends and fetches files of runs, logged models and versions of a home.

    An address of files does not say of which home; that is the tracking URI's, as with a server.
    """

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        candidates = (tracking_uri, registry_uri, mlflow.get_tracking_uri())
        home = next((uri for uri in candidates if uri and uri.startswith("loopline:")), "loopline:")
        path = artifact_uri.removeprefix(FILES).lstrip("/")
        super().__init__(f"{base_url(home)}/api/2.0/mlflow-artifacts/artifacts/{path}")
