"""``prefect.tasks.secrets.base``."""

from loopline.flows.secrets import PrefectSecret, SecretBase

__all__ = ["PrefectSecret", "SecretBase"]
