"""Experiments by client, and by the handle that ``set_experiment`` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.rules.names import check_experiment_name, check_experiment_tag_value, check_key
from loopline.settings import Address, tracking_address
from loopline.tracking.found import Experiments, lifecycle_of, orders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopline.backend.recorder import Recorder
    from loopline.records.base import Lifecycle
    from loopline.records.tracking import Experiment

__all__ = ["ExperimentClient", "ExperimentHandle"]

PAGE = 1000


class ExperimentHandle:
    """An experiment by name; the store is asked only for what somebody wants of it.

    Attributes:
        name: The experiment's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def fetch(self) -> Experiment:
        """Read the experiment from the store, making it when missing."""
        return get_recorder().call(ops.EnsureExperiment(name=self.name))

    @property
    def experiment_id(self) -> str:
        """Its id; asks the store."""
        return self.fetch().experiment_id

    @property
    def tags(self) -> dict[str, str]:
        """Its tags; asks the store."""
        return self.fetch().tags

    @property
    def lifecycle(self) -> Lifecycle:
        """Whether it is in use or deleted; asks the store."""
        return self.fetch().lifecycle

    @property
    def lifecycle_stage(self) -> str:
        """Its lifecycle, as MLflow calls it; asks the store."""
        return self.fetch().lifecycle_stage

    @property
    def creation_time(self) -> int:
        """Unix time in milliseconds; asks the store."""
        return self.fetch().creation_time

    @property
    def last_update_time(self) -> int:
        """Unix time in milliseconds; asks the store."""
        return self.fetch().last_update_time

    def __repr__(self) -> str:
        return f"<Experiment {self.name!r}>"

    def _repr_html_(self) -> str:
        from loopline.tracking.display import experiment_html

        return experiment_html(self.fetch())


class ExperimentClient:
    """Asks one store about experiments, with no global state.

    Attributes:
        tracking_uri: Where it records to.
    """

    def __init__(
        self, tracking_uri: str | Address | None = None, registry_uri: str | None = None
    ) -> None:
        """Talk to a store; nothing is opened before the first question.

        Args:
            tracking_uri: A folder, ``http(s)://`` server or database; by default what
                ``set_tracking_uri`` or the environment says now.
            registry_uri: As MLflow has it; models live in the same store here.

        Raises:
            InvalidInputError: ``registry_uri`` is another store.
        """
        if tracking_uri is None:
            self._address = get_recorder().address
        elif isinstance(tracking_uri, Address):
            self._address = tracking_uri
        else:
            self._address = tracking_address(str(tracking_uri))
        if registry_uri is not None and tracking_address(str(registry_uri)) != self._address:
            msg = "Models and runs live in one store. Leave registry_uri out."
            raise InvalidInputError(msg)

    @property
    def tracking_uri(self) -> str:
        """Where it records to."""
        return self._address.text

    @property
    def recorder(self) -> Recorder:
        """This process's recorder for the store."""
        return get_recorder(self._address.text)

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything logged by this process is in the store.

        Raises:
            BackendUnavailableError: It did not get there in time; it is kept and sent later.
        """
        self.recorder.flush(timeout_s)

    def create_experiment(
        self,
        name: str,
        artifact_location: str | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a new experiment and return its id.

        Args:
            name: 1 to 500 characters, unique among active and deleted experiments alike.
            artifact_location: As MLflow has it, where only None is possible here: files of all
                runs lie in the store's blobs (``LOOPLINE_BLOBS``).
            tags: Tags of the experiment.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        check_experiment_name(name)
        if artifact_location is not None:
            msg = (
                "Files of all experiments are kept together, where LOOPLINE_BLOBS says. Leave "
                "artifact_location out."
            )
            raise InvalidInputError(msg)
        made = self.recorder.call(ops.CreateExperiment(name=name, tags=_texts(tags or {})))
        return made.experiment_id

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Get an experiment by its id.

        Raises:
            NotFoundError: No experiment has this id.
        """
        return self.recorder.call(ops.GetExperiment(experiment_id=str(experiment_id)))

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Get an experiment by its name; None when there is none."""
        try:
            return self.recorder.call(ops.GetExperiment(name=name))
        except NotFoundError:
            return None

    def search_experiments(
        self,
        view_type: Any = 1,  # noqa: ANN401 - MLflow's ViewType
        max_results: int | None = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Experiments:
        """Search experiments, newest change first unless ordered otherwise.

        Args:
            view_type: 1 active, 2 deleted, 3 all.
            max_results: At most so many; all when None.
            filter_string: Such as ``"name LIKE 'taxi%' AND tags.team = 'fares'"``.
            order_by: Such as ``["name ASC"]``.
            page_token: ``token`` of the page before.

        Raises:
            FilterError: With the character and what was expected there.
        """
        recorder = self.recorder
        recorder.catch_up()
        found = Experiments(token=page_token or "")
        while max_results is None or len(found) < max_results:
            page = recorder.backend.call(
                ops.SearchExperiments(
                    filter=filter_string or "",
                    order_by=orders(order_by),
                    lifecycle=lifecycle_of(view_type),
                    max_results=PAGE
                    if max_results is None
                    else min(PAGE, max_results - len(found)),
                    page_token=found.token,
                )
            )
            found += page.experiments
            found.token = page.next_page_token
            if not found.token:
                break
        return found

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Give an experiment another name; its runs stay where they are.

        Raises:
            AlreadyExistsError: Another experiment has the name.
        """
        check_experiment_name(new_name)
        self.recorder.call(ops.RenameExperiment(experiment_id=str(experiment_id), name=new_name))

    def delete_experiment(self, experiment_id: str) -> None:
        """Soft-delete an experiment and its runs."""
        self.recorder.call(ops.DeleteExperiment(experiment_id=str(experiment_id)))

    def restore_experiment(self, experiment_id: str) -> None:
        """Undo the deletion of an experiment."""
        self.recorder.call(ops.RestoreExperiment(experiment_id=str(experiment_id)))

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:  # noqa: ANN401
        """Set a tag of an experiment."""
        self.set_experiment_tags(experiment_id, {key: value})

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, Any]) -> None:
        """Set several tags of an experiment; the last value of a key counts."""
        self.recorder.call(
            ops.SetExperimentTags(experiment_id=str(experiment_id), tags=_texts(tags))
        )

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Take a tag off an experiment.

        Raises:
            NotFoundError: It has no such tag.
        """
        self.recorder.call(ops.RemoveExperimentTag(experiment_id=str(experiment_id), key=key))


def _texts(tags: Mapping[str, Any]) -> dict[str, str]:
    texts = {}
    for key, value in tags.items():
        check_key("tag", key)
        texts[str(key)] = text = str(value)
        check_experiment_tag_value(key, text)
    return texts
