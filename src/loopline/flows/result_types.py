"""Result types: where a task's result is kept, when the flow's author wants to choose.

``@task(result=LocalResult("results"), target="{flow_name}/{today}.json")`` keeps each result at
that location, and uses what is there already instead of running the task. A location is a
template over the run context, the task's arguments and the flow's parameters, or a function that
gets these by name. Whoever may write to a location that is read as a pickle may run code in the
flow: this is what ``serializer=JSONSerializer()`` is for.
"""

from __future__ import annotations

import copy
import json
import os
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from loopline.disk import sync_folder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.flows.bucket_options import azure_config, check_s3_options, google_account, s3_config
from loopline.flows.serializers import JSONSerializer, PickleSerializer

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.blobs.objects import Objects
    from loopline.flows.serializers import Serializer

__all__ = [
    "AzureResult",
    "ConstantResult",
    "GCSResult",
    "LocalResult",
    "PrefectResult",
    "ResultType",
    "S3Result",
    "SecretResult",
]


class ResultType:
    """Base of the result types.

    Args:
        value: The value, once there is one.
        location: Where it is kept: a template, or a function.
        serializer: How it becomes bytes; a pickle by default.

    Attributes:
        is_kept: Whether a value at a location can be read later, by another process.
    """

    is_kept = True

    def __init__(
        self,
        value: object = None,
        location: str | Callable[..., str] | None = None,
        serializer: Serializer | None = None,
    ) -> None:
        self.value: Any = value
        self.location = location
        self.serializer: Serializer = serializer or PickleSerializer()

    def copy(self) -> Self:
        """Return another one like this."""
        return copy.copy(self)

    def from_value(self, value: object) -> Self:
        """Return one like this with a value."""
        made = self.copy()
        made.value = value
        return made

    @property
    def default_location(self) -> str:
        """Where a result goes whose author did not say: below the day, under a name of its own."""
        return f"loopline-results/{{today}}/{{flow_name}}/{uuid.uuid4().hex}"

    def format(self, **values: Any) -> Self:  # noqa: ANN401 - any values
        """Return one like this, whose location has these values filled in.

        Raises:
            InvalidInputError: A value that the template names is missing.
        """
        made = self.copy()
        template = self.location or self.default_location
        if callable(template):
            made.location = template(**values)
            return made
        try:
            made.location = template.format(**values)
        except (KeyError, IndexError, AttributeError) as error:
            msg = (
                f"The location {template!r} needs {error}, which is not known when the task "
                f"runs. There is: {', '.join(sorted(values))}."
            )
            raise InvalidInputError(msg) from None
        return made

    def read(self, location: str) -> Self:
        """Read the value at a location.

        Raises:
            NotFoundError: Nothing is there.
        """
        data = self._get(location)
        if data is None:
            msg = f"No result at {location!r} in {self!r}. Run the task that writes it again."
            raise NotFoundError(msg)
        made = self.from_value(self.serializer.deserialize(data))
        made.location = location
        return made

    def write(self, value_: Any, **values: Any) -> Self:  # noqa: ANN401 - any value
        """Keep a value at the location; it is whole there, or not there at all."""
        made = self.format(**values)
        made.value = value_
        self._put(str(made.location), self.serializer.serialize(value_))
        return made

    def exists(self, location: str, **values: Any) -> bool:  # noqa: ANN401 - any values
        """Tell whether a value is kept at a location."""
        found = self.copy()
        found.location = location
        return self._has(str(found.format(**values).location))

    def _get(self, location: str) -> bytes | None:
        raise NotImplementedError

    def _put(self, location: str, data: bytes) -> None:
        raise NotImplementedError

    def _has(self, location: str) -> bool:
        return self._get(location) is not None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.location or self.value!r}>"


class LocalResult(ResultType):
    """A file.

    Args:
        dir: Folder that locations are in; by default ``results`` in the home of whoever runs.
        validate_dir: Refuse a folder such as ``"~/x"`` at once.
        **options: ``location``, ``value`` and ``serializer``.

    Raises:
        InvalidInputError: The folder cannot be one.
    """

    def __init__(
        self,
        dir: str | os.PathLike[str] | None = None,  # noqa: A002 - Prefect 1's name
        validate_dir: bool = True,  # noqa: FBT001, FBT002 - Prefect 1's signature
        **options: Any,  # noqa: ANN401 - as the base class
    ) -> None:
        super().__init__(**options)
        if validate_dir and dir is not None and str(dir).startswith("~"):
            msg = f"The folder {str(dir)!r} has a ~ in it, which a worker does not expand."
            raise InvalidInputError(msg)
        self.dir = None if dir is None else str(Path(dir).absolute())

    def _path(self, location: str) -> Path:
        folder = self.dir
        if folder is None:
            from loopline.backend.recorder import current_home

            folder = str(current_home() / "results")
        return Path(folder, location)  # A location may be a whole path of its own.

    def _get(self, location: str) -> bytes | None:
        try:
            return self._path(location).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return None

    def _has(self, location: str) -> bool:
        return self._path(location).is_file()

    def _put(self, location: str, data: bytes) -> None:
        path = self._path(location)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
        sync_folder(path.parent)


class _BucketResult(ResultType):
    """An object in a bucket."""

    def __init__(self, bucket: str | None, **options: Any) -> None:  # noqa: ANN401 - as the base class
        super().__init__(**options)
        if not bucket:
            msg = f"{type(self).__name__} needs the name of its bucket, such as 'wagoncab-results'."
            raise InvalidInputError(msg)
        self.bucket = bucket

    def _objects(self) -> Objects:
        # Opened anew each time: a client of a bucket cannot travel to another process.
        raise NotImplementedError

    def _get(self, location: str) -> bytes | None:
        chunks = self._objects().read(location)
        return None if chunks is None else b"".join(chunks)

    def _has(self, location: str) -> bool:
        return self._objects().find(location) is not None

    def _put(self, location: str, data: bytes) -> None:
        self._objects().put(location, data)


class S3Result(_BucketResult):
    """An object in a bucket of S3, or of what speaks its protocol.

    Args:
        bucket: Name of the bucket. Credentials and endpoint come from ``AWS_ACCESS_KEY_ID``,
            ``AWS_ENDPOINT_URL`` and their like, or from the secret AWS_CREDENTIALS.
        boto3_kwargs: Instead of these: ``aws_access_key_id``, ``aws_secret_access_key``,
            ``aws_session_token``, ``region_name``, ``endpoint_url``, ``credentials``.
        upload_options: ``ServerSideEncryption`` and ``SSEKMSKeyId``.
        **options: ``location``, ``value`` and ``serializer``.

    Raises:
        InvalidInputError: It has no bucket, or an option that is not known here.
    """

    def __init__(
        self,
        bucket: str,
        boto3_kwargs: dict[str, Any] | None = None,
        upload_options: dict[str, Any] | None = None,
        **options: Any,  # noqa: ANN401 - as the base class
    ) -> None:
        super().__init__(bucket, **options)
        self.boto3_kwargs = boto3_kwargs or {}
        self.upload_options = upload_options or {}
        check_s3_options(self.boto3_kwargs, self.upload_options)

    def _objects(self) -> Objects:
        from loopline.blobs.obstore_objects import ObstoreObjects

        config = s3_config(self.boto3_kwargs, self.upload_options)
        return ObstoreObjects(f"s3://{self.bucket}", config)


class GCSResult(_BucketResult):
    """An object in a bucket of Google's.

    Args:
        bucket: Name of the bucket. Credentials come from ``GOOGLE_APPLICATION_CREDENTIALS``, the
            machine itself, or the secret GCP_CREDENTIALS.
        **options: ``location``, ``value`` and ``serializer``.

    Raises:
        InvalidInputError: It has no bucket.
    """

    def __init__(self, bucket: str | None = None, **options: Any) -> None:  # noqa: ANN401 - as the base class
        super().__init__(bucket, **options)

    def _objects(self) -> Objects:
        from loopline.blobs.google_objects import GoogleObjects

        return GoogleObjects(f"gs://{self.bucket}", google_account())


class AzureResult(_BucketResult):
    """An object in a container of Azure's.

    Args:
        container: Name of the container.
        connection_string: How to reach its account; by default what
            ``AZURE_STORAGE_CONNECTION_STRING`` or ``AZURE_STORAGE_ACCOUNT_NAME`` and
            ``AZURE_STORAGE_ACCOUNT_KEY`` say where the task runs.
        connection_string_secret: Name of a secret that has it.
        **options: ``location``, ``value`` and ``serializer``.

    Raises:
        InvalidInputError: It has no container.
    """

    def __init__(
        self,
        container: str,
        connection_string: str | None = None,
        connection_string_secret: str | None = None,
        **options: Any,  # noqa: ANN401 - as the base class
    ) -> None:
        super().__init__(container, **options)
        self.container = container
        self.connection_string = connection_string
        self.connection_string_secret = connection_string_secret

    def _objects(self) -> Objects:
        from loopline.blobs.obstore_objects import ObstoreObjects

        config = azure_config(self.connection_string, self.connection_string_secret)
        return ObstoreObjects(f"az://{self.bucket}", config)


class PrefectResult(ResultType):
    """The value itself, as JSON, in the place of a location: for small ones."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as the base class
        super().__init__(**options)
        self.serializer = JSONSerializer()

    def read(self, location: str) -> Self:
        """Read the value out of its location.

        Raises:
            InvalidInputError: It is no JSON.
        """
        try:
            made = self.from_value(json.loads(location))
        except ValueError:
            msg = f"{location!r} is no JSON, and so no result of PrefectResult."
            raise InvalidInputError(msg) from None
        made.location = location
        return made

    def write(self, value_: Any, **values: Any) -> Self:  # noqa: ANN401, ARG002 - as the base class
        """Write the value as JSON."""
        made = self.from_value(value_)
        made.location = json.dumps(value_)
        return made

    def exists(self, location: str, **values: Any) -> bool:  # noqa: ANN401, ARG002 - as the base class
        """Tell whether there is a value in a location."""
        try:
            json.loads(location)
        except ValueError:
            return False
        return True


class ConstantResult(ResultType):
    """A value that is part of the flow, and so is not kept anywhere else."""

    is_kept = False

    def read(self, location: str) -> Self:  # noqa: ARG002 - as the base class
        """Return it."""
        return self

    def write(self, value_: Any, **values: Any) -> Self:  # noqa: ANN401, ARG002 - as the base class
        """Take a value; nothing is written."""
        return self.from_value(value_)

    def exists(self, location: str, **values: Any) -> bool:  # noqa: ANN401, ARG002 - as the base class
        """Tell whether it is there: always."""
        return True


class SecretResult(ResultType):
    """A secret: nothing of it is written, and reading it asks its task again.

    Args:
        secret_task: The task that knows it.
        **options: As for the base class.
    """

    is_kept = False

    def __init__(self, secret_task: Any, **options: Any) -> None:  # noqa: ANN401 - a task
        super().__init__(**options)
        self.secret_task = secret_task
        self.location = secret_task.name

    def read(self, location: str) -> Self:  # noqa: ARG002 - as the base class
        """Ask the task."""
        made = self.from_value(self.secret_task.run())
        made.location = self.location
        return made

    def write(self, value_: Any, **values: Any) -> Self:  # noqa: ANN401, ARG002 - as the base class
        """Take the value; nothing is written."""
        return self.from_value(value_)

    def exists(self, location: str, **values: Any) -> bool:  # noqa: ANN401, ARG002 - as the base class
        """Tell whether it can be asked for."""
        return True
