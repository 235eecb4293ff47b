"""Model folders: written in whole or not at all, in MLflow's layout."""

from __future__ import annotations

import datetime
import platform
import shutil
import uuid
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import AlreadyExistsError
from loopline.models.environment import ENVIRONMENT, write_environment
from loopline.models.example import write_example
from loopline.models.mlmodel import MLModel, write_mlmodel
from loopline.models.requirements import gather_requirements, installed_version
from loopline.models.schema import Signature
from loopline.models.signature import infer_signature, is_table
from loopline.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["About", "Written", "write_folder"]


class About(Record, frozen=True, kw_only=True):
    """What is kept beside a model, whatever its flavor.

    Attributes:
        signature: What it takes and gives; inferred from the example when None.
        input_example: A few rows it takes.
        pip_requirements: Instead of the flavor's: lines, or the path of a file.
        extra_pip_requirements: Added to them.
        metadata: Anything that JSON and YAML have a form for.
        run_id: The run it is logged to, if any.
        artifact_path: Its folder there.
    """

    signature: Signature | None = None
    input_example: Any = None
    pip_requirements: Sequence[str] | str | None = None
    extra_pip_requirements: Sequence[str] | str | None = None
    metadata: dict[str, Any] | None = None
    run_id: str | None = None
    artifact_path: str | None = None


class Written(NamedTuple):
    """What a flavor tells about the files it wrote.

    Attributes:
        flavor: Its name in MLmodel; empty when ``python_function`` says it all.
        settings: What it needs to load them.
        loader: Settings of ``python_function``: at least ``loader_module``.
        distributions: Packages that loading needs.
    """

    flavor: str
    settings: dict[str, Any]
    loader: dict[str, Any]
    distributions: list[str]


def write_folder(
    path: Path,
    about: About,
    *,
    write: Callable[[Path], Written],
    predict: Callable[[Any], Any] | None,
) -> MLModel:
    """Write a model folder; it appears in whole under ``path`` or not at all.

    Args:
        path: Must not exist, or be an empty folder.
        about: What is kept beside the model.
        write: Writes the flavor's own files into a folder.
        predict: Asks the model, to infer a signature from the input example; None for a model
            that cannot be asked.

    Raises:
        AlreadyExistsError: There is something at ``path``.
    """
    with _appears_at(path) as folder:
        written = write(folder)
        example = about.input_example
        signature = about.signature
        info = None
        if example is not None:
            info = write_example(folder, example)
            signature = signature or (_try_example(example, predict) if predict else None)
        distributions = [*written.distributions, *(["pandas"] if is_table(example) else [])]
        write_environment(
            folder,
            gather_requirements(
                distributions, about.pip_requirements, about.extra_pip_requirements
            ),
        )
        loader = {
            **written.loader,
            "env": dict(ENVIRONMENT),
            "python_version": platform.python_version(),
        }
        model = MLModel(
            flavors={
                "python_function": loader,
                **({written.flavor: written.settings} if written.flavor else {}),
            },
            model_uuid=uuid.uuid4().hex,
            utc_time_created=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S.%f}",
            signature=signature,
            saved_input_example_info=info,
            model_size_bytes=sum(
                file.stat().st_size for file in folder.rglob("*") if file.is_file()
            ),
            metadata=about.metadata,
            run_id=about.run_id,
            artifact_path=about.artifact_path,
            loopline_version=installed_version("loopline") or "0",
        )
        write_mlmodel(folder, model)
    return model


def _try_example(
    example: Any,  # noqa: ANN401 - any kind of data
    predict: Callable[[Any], Any],
) -> Signature | None:
    """Infer the signature from what the model says to the example.

    A model after hours of training is kept even when its example does not fit: hence a warning.
    """
    try:
        return infer_signature(example, predict(example))
    except Exception as error:  # noqa: BLE001 - a user's model may raise anything
        warnings.warn(
            f"The model cannot predict its input example ({type(error).__name__}: {error}), so it "
            "is kept without a signature. Give an example it takes, or `signature=`.",
            stacklevel=5,
        )
        return None


@contextmanager
def _appears_at(path: Path) -> Iterator[Path]:
    """Give a folder to fill that takes its place at ``path`` when all went well."""
    path = path.absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        msg = f"{path} is there already. Give another path, or remove it first."
        raise AlreadyExistsError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    folder.mkdir()
    try:
        yield folder
        folder.replace(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
