"""Options of result types on buckets: Prefect 1's words for what the clouds' clients are told.

Without any of them credentials come from the environment, which is where they should be: what is
written into a flow's code is registered with the flow.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["azure_config", "check_s3_options", "google_account", "s3_config"]

#: boto3's words, and the store's own.
_BOTO = {
    "aws_access_key_id": "aws_access_key_id",
    "aws_secret_access_key": "aws_secret_access_key",
    "aws_session_token": "aws_session_token",
    "region_name": "aws_region",
    "endpoint_url": "aws_endpoint",
}
#: Words of Prefect's secret AWS_CREDENTIALS, and of ``boto3_kwargs["credentials"]``.
_CREDENTIALS = {
    "ACCESS_KEY": "aws_access_key_id",
    "SECRET_ACCESS_KEY": "aws_secret_access_key",
    "SESSION_TOKEN": "aws_session_token",
}
_UPLOAD = {
    "ServerSideEncryption": "aws_server_side_encryption",
    "SSEKMSKeyId": "aws_sse_kms_key_id",
}
_CONNECTION = {
    "AccountName": "azure_storage_account_name",
    "AccountKey": "azure_storage_account_key",
    "SharedAccessSignature": "azure_storage_sas_key",
    "BlobEndpoint": "azure_storage_endpoint",
}
_PUBLIC_CLOUD = "core.windows.net"


def check_s3_options(boto3_kwargs: Mapping[str, Any], upload_options: Mapping[str, Any]) -> None:
    """Refuse what the result types cannot do, when the flow is built.

    Raises:
        InvalidInputError: An option is not known here; the message lists those that are.
    """
    for given, name, known in (
        (boto3_kwargs, "boto3_kwargs", {*_BOTO, "credentials"}),
        (upload_options, "upload_options", set(_UPLOAD)),
    ):
        if odd := sorted(set(given) - known):
            msg = (
                f"S3Result does not know {name}[{odd[0]!r}]. It knows {', '.join(sorted(known))}; "
                "set the rest on the bucket, or in the environment (AWS_REGION, ...)."
            )
            raise InvalidInputError(msg)


def s3_config(boto3_kwargs: Mapping[str, Any], upload_options: Mapping[str, Any]) -> dict[str, str]:
    """Translate the options of ``S3Result``; the secret AWS_CREDENTIALS goes before them."""
    config = {_BOTO[name]: str(value) for name, value in boto3_kwargs.items() if name in _BOTO}
    credentials = boto3_kwargs.get("credentials") or _secret_at_hand("AWS_CREDENTIALS") or {}
    for name, value in credentials.items():
        if name in _CREDENTIALS and value:
            config[_CREDENTIALS[name]] = str(value)
    config |= {_UPLOAD[name]: str(value) for name, value in upload_options.items()}
    return config


def azure_config(connection_string: str | None, secret: str | None) -> dict[str, str]:
    """Translate a connection string: the one given, else the environment's, else a secret's.

    Raises:
        InvalidInputError: The text is none.
        NotFoundError: There is no secret of that name.
    """
    text = connection_string or os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    if not text and secret:
        from loopline.flows.secrets import Secret

        text = str(Secret(secret).get())
    if not text:
        return {}
    parts = dict(part.partition("=")[::2] for part in text.split(";") if part)
    if not parts.keys() & {"AccountName", "BlobEndpoint"}:
        # The text itself may be a key, so it is not repeated.
        msg = (
            "An Azure connection string has AccountName=…;AccountKey=… or BlobEndpoint=… in it, "
            "and this one has neither. Copy it anew from the storage account's access keys."
        )
        raise InvalidInputError(msg)
    config = {_CONNECTION[name]: value for name, value in parts.items() if name in _CONNECTION}
    suffix = parts.get("EndpointSuffix", _PUBLIC_CLOUD)
    if "BlobEndpoint" not in parts and suffix != _PUBLIC_CLOUD:
        protocol = parts.get("DefaultEndpointsProtocol", "https")
        account = parts["AccountName"]
        config["azure_storage_endpoint"] = f"{protocol}://{account}.blob.{suffix}"
    return config


def google_account() -> dict[str, Any] | None:
    """Return the service account in the secret GCP_CREDENTIALS, when the flow has it at hand."""
    found: dict[str, Any] | None = _secret_at_hand("GCP_CREDENTIALS")
    return found


def _secret_at_hand(name: str) -> Any:  # noqa: ANN401 - what JSON says
    """Look at the context and the environment only: no store is asked at each result."""
    from loopline.flows.context import run_values
    from loopline.flows.secrets import Secret, local_secrets

    given = run_values.get().get("secrets") or {}
    return Secret(name).get() if name in {*given, *local_secrets()} else None
