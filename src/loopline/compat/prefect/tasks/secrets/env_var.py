"""``prefect.tasks.secrets.env_var``."""

from loopline.flows.secrets import EnvVarSecret

__all__ = ["EnvVarSecret"]
