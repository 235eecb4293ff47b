"""The fluent functions that ask the store, or command it: runs, experiments and files read back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError
from loopline.records.operations import EnsureExperiment
from loopline.tracking import artifacts
from loopline.tracking.client import Client
from loopline.tracking.starting import experiment_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from loopline.records.tracking import Artifact, Experiment, MetricHistory, Run
    from loopline.settings import Address
    from loopline.tracking.found import Experiments, Runs

__all__ = [
    "copy_run",
    "create_experiment",
    "current_client",
    "delete_experiment",
    "delete_experiment_tag",
    "delete_run",
    "download_artifacts",
    "get_experiment",
    "get_experiment_by_name",
    "get_metric_history",
    "get_parent_run",
    "get_run",
    "list_artifacts",
    "load_dict",
    "load_image",
    "load_table",
    "load_text",
    "move_runs",
    "rename_experiment",
    "rename_run",
    "restore_experiment",
    "restore_run",
    "search_experiments",
    "set_experiment_tag",
    "set_experiment_tags",
]


@lru_cache(maxsize=32)
def _client_of(address: Address) -> Client:
    return Client(address)


def current_client() -> Client:
    """Get the client of the store that is set here."""
    return _client_of(get_recorder().address)


def load_table(
    artifact_file: str,
    run_ids: Sequence[str] | None = None,
    extra_columns: Sequence[str] | None = None,
) -> Any:  # noqa: ANN401 - a DataFrame
    """Read the table that runs of the experiment set logged under one path, as a DataFrame.

    Args:
        artifact_file: Path of the table.
        run_ids: Only of these runs; all that have it when None.
        extra_columns: Attributes of the runs to put beside, such as ``["run_id"]``.

    Raises:
        NotFoundError: None of the runs has the table.
    """
    client = current_client()
    # Runs that are named need no experiment to look for them in.
    experiment_id = "" if run_ids is not None else _experiment_id(client)
    return client.load_table(experiment_id, artifact_file, run_ids, extra_columns)


def load_text(artifact_uri: str) -> str:
    """Read a file as text: ``runs:/RUN_ID/PATH``, ``models:/NAME/VERSION/PATH`` or a path."""
    return artifacts.read_text(get_recorder(), artifact_uri)


def load_dict(artifact_uri: str) -> Any:  # noqa: ANN401 - what the file holds
    """Read a JSON or YAML file; see ``load_text``."""
    return artifacts.read_dict(get_recorder(), artifact_uri)


def load_image(artifact_uri: str) -> Any:  # noqa: ANN401 - a PIL image
    """Read a picture as a PIL image; see ``load_text``."""
    return artifacts.read_image(get_recorder(), artifact_uri)


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | Path | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
) -> str:
    """Bring files to this machine, each checked by its hash; return where they are.

    Args:
        artifact_uri: ``runs:/RUN_ID/PATH`` or ``models:/NAME/VERSION/PATH``.
        run_id: Instead of an address: the run, with ``artifact_path``.
        artifact_path: File or folder of the run; everything when None.
        dst_path: Folder to put them into; a temporary one when None.
        tracking_uri: Another store than the one set.
        registry_uri: As MLflow has it; models live in the same store here.

    Raises:
        InvalidInputError: Not exactly one of ``artifact_uri`` and ``run_id`` was given.
        NotFoundError: There is nothing at this address.
    """
    client = current_client() if tracking_uri is None else Client(tracking_uri, registry_uri)
    if (artifact_uri is None) == (run_id is None):
        msg = "Give download_artifacts either artifact_uri, or run_id (and artifact_path)."
        raise InvalidInputError(msg)
    uri = artifacts.run_uri(run_id, artifact_path) if run_id else artifact_uri
    return str(artifacts.download(client.recorder, uri or "", dst_path))


def list_artifacts(
    run_id: str | None = None,
    path: str | None = None,
    *,
    artifact_uri: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[Artifact]:
    """List what lies in a folder of a run, or of a model version.

    Args:
        run_id: The run; or an address, as ``artifact_uri``.
        path: A folder of the run; its top when None.
        artifact_uri: Instead: ``runs:/RUN_ID/PATH`` or ``models:/NAME/VERSION/PATH``.
        artifact_path: The same as ``path``, by MLflow's name.
        tracking_uri: Another store than the one set.

    Raises:
        InvalidInputError: Not exactly one of run and address was given.
        NotFoundError: There is no such run or model version.
    """
    client = current_client() if tracking_uri is None else Client(tracking_uri)
    if run_id is not None and artifact_uri is None and ":/" in run_id:
        run_id, artifact_uri = None, run_id  # MLflow's function takes the address first.
    if (run_id is None) == (artifact_uri is None):
        msg = "Give list_artifacts either run_id (and path), or artifact_uri."
        raise InvalidInputError(msg)
    if run_id is not None:
        return client.list_artifacts(run_id, artifact_path if path is None else path)
    return artifacts.list_folder(client.recorder, artifact_uri or "")


# --- runs -------------------------------------------------------------------------------------


def get_run(run_id: str) -> Run:
    """Get a run with its params, tags and metric summaries.

    Raises:
        NotFoundError: No run has this id.
    """
    return current_client().get_run(run_id)


def get_parent_run(run_id: str) -> Run | None:
    """Get the run that a run was started inside; None when there is none."""
    return current_client().get_parent_run(run_id)


def get_metric_history(run_id: str, key: str) -> MetricHistory:
    """Get every point of a metric, ordered by step, timestamp and value."""
    return current_client().get_metric_history(run_id, key)


def rename_run(run_id: str, new_name: str) -> None:
    """Give a run another name."""
    current_client().update_run(run_id, name=new_name)


def delete_run(run_id: str) -> None:
    """Soft-delete a run."""
    current_client().delete_run(run_id)


def restore_run(run_id: str) -> None:
    """Undo the deletion of a run."""
    current_client().restore_run(run_id)


def move_runs(
    run_ids: Sequence[str] | str,
    experiment_name: str | None = None,
    experiment_id: str | None = None,
    *,
    with_children: bool = True,
) -> Runs:
    """Move runs to another experiment; see ``Client.move_runs``."""
    return current_client().move_runs(
        run_ids, experiment_name, experiment_id, with_children=with_children
    )


def copy_run(
    run_id: str,
    experiment_name: str | None = None,
    experiment_id: str | None = None,
    *,
    run_name: str | None = None,
    with_children: bool = False,
) -> Run:
    """Copy a run that has ended, with its whole history; see ``Client.copy_run``."""
    return current_client().copy_run(
        run_id, experiment_name, experiment_id, run_name=run_name, with_children=with_children
    )


# --- experiments ------------------------------------------------------------------------------


def _experiment_id(client: Client) -> str:
    """Id of the experiment that is set, which is made when it is not there."""
    return client.recorder.call(EnsureExperiment(name=experiment_name())).experiment_id


def create_experiment(
    name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
) -> str:
    """Make a new experiment and return its id.

    Raises:
        AlreadyExistsError: The name is taken.
    """
    return current_client().create_experiment(name, artifact_location, tags)


def get_experiment(experiment_id: str) -> Experiment:
    """Get an experiment by its id.

    Raises:
        NotFoundError: No experiment has this id.
    """
    return current_client().get_experiment(experiment_id)


def get_experiment_by_name(name: str) -> Experiment | None:
    """Get an experiment by its name; None when there is none."""
    return current_client().get_experiment_by_name(name)


def search_experiments(
    view_type: Any = 1,  # noqa: ANN401 - MLflow's ViewType
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
    *,
    include_deleted: bool = False,
) -> Experiments:
    """Search experiments, newest change first unless ordered otherwise.

    Args:
        view_type: 1 active, 2 deleted, 3 all.
        max_results: At most so many; all when None.
        filter_string: Such as ``"name LIKE 'taxi%' AND tags.team = 'fares'"``.
        order_by: Such as ``["name ASC"]``.
        include_deleted: The same as ``view_type=3``.

    Raises:
        FilterError: With the character and what was expected there.
    """
    view = 3 if include_deleted else view_type
    return current_client().search_experiments(view, max_results, filter_string, order_by)


def rename_experiment(experiment_id: str, new_name: str) -> None:
    """Give an experiment another name; its runs stay where they are."""
    current_client().rename_experiment(experiment_id, new_name)


def delete_experiment(experiment_id: str) -> None:
    """Soft-delete an experiment and its runs."""
    current_client().delete_experiment(experiment_id)


def restore_experiment(experiment_id: str) -> None:
    """Undo the deletion of an experiment."""
    current_client().restore_experiment(experiment_id)


def set_experiment_tag(key: str, value: Any) -> None:  # noqa: ANN401
    """Set a tag of the experiment that is set; asks the store."""
    set_experiment_tags({key: value})


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Set several tags of the experiment that is set; asks the store."""
    client = current_client()
    client.set_experiment_tags(_experiment_id(client), tags)


def delete_experiment_tag(key: str) -> None:
    """Take a tag off the experiment that is set; asks the store."""
    client = current_client()
    client.delete_experiment_tag(_experiment_id(client), key)
