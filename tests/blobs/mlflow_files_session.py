"""Files of a real MLflow client, past the server where it can; prints what it saw as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository


def digest(path: str | Path) -> str:
    """Hash a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def main() -> None:
    """Send files of several parts, fetch them, delete them."""
    mlflow.set_tracking_uri(sys.argv[1])
    mlflow.set_experiment("wagoncab taxifare")
    client = mlflow.MlflowClient()
    with TemporaryDirectory() as folder, mlflow.start_run() as run:
        model, note = Path(folder) / "my model.bin", Path(folder) / "note.txt"
        model.write_bytes(os.urandom(7 << 20))
        note.write_text("fares")
        mlflow.log_artifact(str(model))
        mlflow.log_artifact(str(model), "deep/er")
        mlflow.log_artifact(str(note))
        uri = run.info.artifact_uri
        seen = {
            "run": run.info.run_id,
            "sent": digest(model),
            "came": [
                digest(download_artifacts(f"{uri}/{path}", dst_path=f"{folder}/{index}"))
                for index, path in enumerate(("my model.bin", "deep/er/my model.bin"))
            ],
            "note": Path(download_artifacts(f"{uri}/note.txt")).read_text(),
            "files": sorted(each.path for each in client.list_artifacts(run.info.run_id)),
        }
        repository = get_artifact_repository(uri)
        asks = getattr(repository, "_is_multipart_upload_enabled", None)
        seen["multipart"] = None if asks is None else asks()  # MLflow 2 goes by its setting alone.
        repository.delete_artifacts("deep")
        repository.delete_artifacts("not there")
        seen["left"] = sorted(each.path for each in client.list_artifacts(run.info.run_id))
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
