"""``prefect.tasks.secrets``."""

from loopline.flows.secrets import EnvVarSecret, PrefectSecret, SecretBase

__all__ = ["EnvVarSecret", "PrefectSecret", "SecretBase"]
