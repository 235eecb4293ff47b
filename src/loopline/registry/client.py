"""The registry by client, under MLflow's names: models, versions, stages, aliases and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.registry.found import Models, Versions
from loopline.registry.given import actor, as_number, as_texts
from loopline.tracking.experiments import ExperimentClient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from loopline.models.address import RegistryAddress
    from loopline.records.registry import ModelVersion, RegisteredModel, Stage

__all__ = ["RegistryClient"]

#: Models and versions in one answer of the store.
MODELS, VERSIONS = 1_000, 10_000


class RegistryClient(ExperimentClient):
    """Asks one store about registered models, with no global state.

    What this process logged before is in the store when a version is made of it.
    """

    # --- models ---

    def create_registered_model(
        self, name: str, tags: Mapping[str, Any] | None = None, description: str | None = None
    ) -> RegisteredModel:
        """Make a registered model without versions.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        return self.recorder.call(
            ops.CreateModel(
                name=name, tags=as_texts(tags), description=description or "", actor=actor()
            )
        )

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Get a registered model with its tags, aliases and champions.

        Raises:
            NotFoundError: No model has this name.
        """
        return self.recorder.call(ops.GetModel(name=name))

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Give a model another name; its versions, aliases, stages, tags and history follow.

        Raises:
            AlreadyExistsError: Another model has it.
        """
        return self.recorder.call(ops.RenameModel(name=name, new_name=new_name, actor=actor()))

    def update_registered_model(self, name: str, description: str | None = None) -> RegisteredModel:
        """Describe a model anew; None leaves it without words."""
        return self.recorder.call(ops.UpdateModel(name=name, description=description or ""))

    def delete_registered_model(self, name: str) -> None:
        """Delete a model with all its versions, for good; its history stays."""
        self.recorder.call(ops.DeleteModel(name=name, actor=actor()))

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:  # noqa: ANN401
        """Set a tag of a model."""
        self.recorder.call(ops.SetModelTags(name=name, tags=as_texts({key: value})))

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Take a tag off a model; one that is not there is none to take off."""
        self.recorder.call(ops.RemoveModelTag(name=name, key=key))

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Models:
        """Search registered models, by name unless ordered otherwise.

        Args:
            filter_string: Such as ``"name LIKE 'taxi%' AND tags.team = 'fares'"``.
            max_results: At most so many; all when None.
            order_by: Such as ``["timestamp DESC"]``, the last change.
            page_token: ``token`` of the page before.

        Raises:
            FilterError: With the character and what was expected there.
        """
        found = Models(token=page_token or "")
        while max_results is None or len(found) < max_results:
            page = self.recorder.call(
                ops.SearchModels(
                    filter=filter_string or "",
                    order_by=list(order_by or ()),
                    max_results=_wanted(max_results, len(found), MODELS),
                    page_token=found.token,
                )
            )
            found += page.models
            found.token = page.next_page_token
            if not found.token:
                break
        return found

    # --- versions ---

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
    ) -> ModelVersion:
        """Make the next version of a model that is there; no bytes are copied.

        Args:
            name: Of the registered model.
            source: ``runs:/RUN_ID/model``, or a version there is (``models:/other/3``).
            run_id: As MLflow has it; the source says it.
            tags: Of the new version.
            run_link: A page about the run, elsewhere.
            description: Of the new version.

        Raises:
            NotFoundError: There is no such model, or no such source.
            InvalidInputError: ``run_id`` is another run than the source's.
        """
        return self.register_model(
            source,
            name,
            run_id=run_id or "",
            tags=tags,
            description=description,
            run_link=run_link or "",
            create_model=False,
        )

    def copy_model_version(
        self, src_model_uri: str, dst_name: str, *, to: str | Path | None = None
    ) -> ModelVersion:
        """Make the next version of ``dst_name`` from a version there is, with its very files.

        Args:
            src_model_uri: ``models:/NAME/3``, ``models:/NAME/Production`` or the like.
            dst_name: The model it becomes a version of; made when missing.
            to: Another store that gets it, files and all; None: this one.
        """
        from loopline.models.address import RegistryAddress, parse_model_address

        address = parse_model_address(src_model_uri)
        if not isinstance(address, RegistryAddress):
            msg = (
                f"{src_model_uri!r} is no version of a registered model, such as models:/NAME/3. "
                "Make a version of a run's model with register_model."
            )
            raise InvalidInputError(msg)
        if to is None:
            return self._copy(address, dst_name)
        from loopline.backend.open import open_backend
        from loopline.registry.between import copy_between
        from loopline.settings import tracking_address

        self.recorder.catch_up()
        which = ops.ResolveModel(
            name=address.name,
            version=address.version,
            stage=address.stage,
            alias=address.alias,
            latest=address.latest,
        )
        target = open_backend(tracking_address(str(to)))
        try:
            return copy_between(self.recorder.backend, target, which, dst_name, actor=actor())
        finally:
            target.close()

    def register_model(
        self,
        model_uri: str,
        name: str,
        *,
        run_id: str = "",
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        run_link: str = "",
        create_model: bool = True,
    ) -> ModelVersion:
        """Make the next version of a model, as ``loopline.register_model`` does it."""
        from loopline.models.address import (
            LoggedModelAddress,
            RegistryAddress,
            RunAddress,
            parse_model_address,
        )
        from loopline.models.fetch import find_logged_model

        address = parse_model_address(model_uri)
        if isinstance(address, RegistryAddress):
            return self._copy(
                address, name, tags=tags, description=description, create_model=create_model
            )
        model_id = address.model_id if isinstance(address, LoggedModelAddress) else ""
        if not isinstance(address, RunAddress) and not model_id:
            msg = (
                f"{model_uri!r} is a folder, and a version is made from a run's model. Log it "
                "first, with loopline.sklearn.log_model(model, registered_model_name=...) or the "
                "like."
            )
            raise InvalidInputError(msg)
        if isinstance(address, RunAddress) and run_id not in {"", address.run_id}:
            msg = f"{model_uri!r} is not of run {run_id!r}. Leave run_id out."
            raise InvalidInputError(msg)
        call = ops.RegisterVersion(
            name=name,
            run_id=address.run_id if isinstance(address, RunAddress) else run_id,
            artifact_path=address.path if isinstance(address, RunAddress) else "",
            logged_model_id=model_id,
            description=description or "",
            tags=as_texts(tags),
            run_link=run_link,
            create_model=create_model,
            actor=actor(),
        )
        try:
            return self.recorder.call(call)
        except NotFoundError:  # Of a folder of the run; it may have a logged model of that name.
            logged = (
                find_logged_model(self.recorder, address)
                if isinstance(address, RunAddress)
                else None
            )
            if logged is None:
                raise
            other = replace(call, artifact_path="", logged_model_id=logged.model_id)
            return self.recorder.call(other)

    def _copy(
        self,
        address: RegistryAddress,
        name: str,
        *,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        create_model: bool = True,
    ) -> ModelVersion:
        version = address.version
        if not version:
            where = ops.ResolveModel(
                name=address.name, stage=address.stage, alias=address.alias, latest=address.latest
            )
            version = self.recorder.call(where).version.version
        return self.recorder.call(
            ops.CopyVersion(
                name=address.name,
                version=version,
                to=name,
                tags=None if tags is None else as_texts(tags),
                description=description,
                create_model=create_model,
                actor=actor(),
            )
        )

    def get_model_version(self, name: str, version: int | str) -> ModelVersion:
        """Get a version by its number.

        Raises:
            NotFoundError: There is no such model, or it has no such version.
        """
        return self.recorder.call(ops.GetVersion(name=name, version=as_number(version)))

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Get the version that an alias points at.

        Raises:
            NotFoundError: There is no such model, or it has no such alias.
        """
        return self.recorder.call(ops.ResolveModel(name=name, alias=alias)).version

    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> Versions:
        """Get the highest version in each stage, or in each of some stages.

        Not the champions: ``models:/name/Stage`` is the version that was moved there last.
        """
        call = ops.GetLatestVersions(names=[name], stages=[str(stage) for stage in stages or ()])
        found = self.recorder.call(call)
        return Versions(found)

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = VERSIONS,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Versions:
        """Search versions of all models, newest change first unless ordered otherwise.

        Args:
            filter_string: Such as ``"name = 'taxifare' AND version_number > 3"``; over name,
                version_number, run_id, source_path and tags.
            max_results: At most so many; all when None.
            order_by: Such as ``["version_number DESC"]``.
            page_token: ``token`` of the page before.

        Raises:
            FilterError: With the character and what was expected there.
        """
        found = Versions(token=page_token or "")
        while max_results is None or len(found) < max_results:
            page = self.recorder.call(
                ops.SearchVersions(
                    filter=filter_string or "",
                    order_by=list(order_by or ()),
                    max_results=_wanted(max_results, len(found), VERSIONS),
                    page_token=found.token,
                )
            )
            found += page.versions
            found.token = page.next_page_token
            if not found.token:
                break
        return found

    def update_model_version(
        self, name: str, version: int | str, description: str | None = None
    ) -> ModelVersion:
        """Describe a version anew; None leaves it without words."""
        return self.recorder.call(
            ops.UpdateVersion(name=name, version=as_number(version), description=description or "")
        )

    def delete_model_version(self, name: str, version: int | str) -> None:
        """Delete a version with its aliases, for good; its number is never used again."""
        self.recorder.call(ops.DeleteVersion(name=name, version=as_number(version), actor=actor()))

    def set_model_version_tag(
        self,
        name: str,
        version: int | str | None = None,
        key: str | None = None,
        value: Any = None,  # noqa: ANN401 - anything that has a text
        stage: Stage | str | None = None,
    ) -> None:
        """Set a tag of a version, given by its number or by the stage whose latest it is."""
        if key is None:
            msg = "Give the key of the tag."
            raise InvalidInputError(msg)
        number = self._number(name, version, stage)
        self.recorder.call(
            ops.SetVersionTags(name=name, version=number, tags=as_texts({key: value}))
        )

    def delete_model_version_tag(
        self,
        name: str,
        version: int | str | None = None,
        key: str | None = None,
        stage: Stage | str | None = None,
    ) -> None:
        """Take a tag off a version; one that is not there is none to take off."""
        if key is None:
            msg = "Give the key of the tag."
            raise InvalidInputError(msg)
        number = self._number(name, version, stage)
        self.recorder.call(ops.RemoveVersionTag(name=name, version=number, key=key))

    def _number(self, name: str, version: int | str | None, stage: Stage | str | None) -> int:
        """Find the version that is meant, by its number or as the latest of a stage."""
        if (version is None) == (stage is None):
            msg = "Say which version, by version or by stage."
            raise InvalidInputError(msg)
        if version is not None:
            return as_number(version)
        latest = self.get_latest_versions(name, [str(stage)])
        if not latest:
            msg = f"Model {name!r} has no version in stage {stage}. Give a version instead."
            raise InvalidInputError(msg)
        return latest[0].version

    # --- stages and aliases ---

    def transition_model_version_stage(
        self,
        name: str,
        version: int | str,
        stage: Stage | str,
        archive_existing_versions: bool = False,  # noqa: FBT001, FBT002 - as MLflow has it
    ) -> ModelVersion:
        """Move a version to a stage; from then on ``models:/name/Stage`` means it.

        Args:
            name: Of the registered model.
            version: Its number.
            stage: ``"None"``, ``"Staging"``, ``"Production"`` or ``"Archived"``, in any case.
            archive_existing_versions: The versions that were in that stage go to Archived, which
                only Staging and Production can ask for. As in MLflow they stay unless that is
                asked for; ``loopline.registry.transition_stage`` archives them.
        """
        return self.recorder.call(
            ops.TransitionStage(
                name=name,
                version=as_number(version),
                stage=str(stage),
                archive_existing=archive_existing_versions,
                actor=actor(),
            )
        )

    def set_registered_model_alias(self, name: str, alias: str, version: int | str) -> None:
        """Point an alias at a version; ``models:/name@alias`` then means it."""
        self.recorder.call(
            ops.SetAlias(name=name, alias=alias, version=as_number(version), actor=actor())
        )

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Take an alias away; one that is not there is none to take away."""
        self.recorder.call(ops.RemoveAlias(name=name, alias=alias, missing_ok=True, actor=actor()))


def _wanted(most: int | None, found: int, together: int) -> int:
    return together if most is None else min(together, most - found)
