"""``prefect.tasks.secrets``."""

from loopline.compat.prefect.refusals import refusing
from loopline.flows.secrets import EnvVarSecret, PrefectSecret, SecretBase

__all__ = ["EnvVarSecret", "PrefectSecret", "SecretBase"]

__getattr__ = refusing(__name__)
