"""What Prefect 1 has and Loopline has not, each with what to do instead.

An import of it says so: a program that needs a missing thing shall not fail an hour later.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["MODULES", "RefusedError", "install", "refusing"]

_HERE = "loopline.compat.prefect"
_CONTAINERS = (
    "Loopline starts no containers. Workers run flows in processes of the environment that was "
    "recorded with them (LocalRun), or on a cloud machine (loopline.run_configs.VMRun)."
)
_OWN_STORE = (
    "Loopline keeps a flow's code with its version in the store, by flow.register(), so that no "
    "storage has to be named. Leave it out."
)
_GRAPHQL = (
    "Loopline's server speaks REST: /api/v1/openapi.json lists every call, and loopline.Client and "
    "the views of prefect.backend make the most common ones."
)
_SCHEMAS = (
    "Flows and states are written as plain data here: flow.serialize(), state.serialize() and "
    "State.deserialize()."
)
_LIBRARY = (
    "Loopline's own tasks are in loopline.tasks. For {what} call its own library in a task: "
    "@task def step(...): ..."
)

#: Modules that are not here: path below ``prefect`` → what to do instead.
MODULES: dict[str, str] = {
    "agent.docker": _CONTAINERS,
    "agent.ecs": _CONTAINERS,
    "agent.kubernetes": _CONTAINERS,
    "agent.vertex": _CONTAINERS,
    "cli": "Use the command `loopline`: `loopline flows --help`, `loopline worker --help`.",
    "serialization": _SCHEMAS,
    "storage.docker": _CONTAINERS,
    "utilities.graphql": _GRAPHQL,
    "utilities.kubernetes": _CONTAINERS,
    "utilities.plugins": "Loopline has no plug-in registry of this kind: import what you need.",
    **{
        f"tasks.{family}": _LIBRARY.format(what=what)
        for family, what in {
            "airbyte": "Airbyte", "airtable": "Airtable", "asana": "Asana", "aws": "AWS (boto3)",
            "azure": "Azure", "azureml": "Azure ML", "census": "Census",
            "cubejs": "Cube.js",
            "databricks": "Databricks", "dbt": "dbt", "docker": "Docker", "dremio": "Dremio",
            "dropbox": "Dropbox", "exasol": "Exasol", "firebolt": "Firebolt",
            "fivetran": "Fivetran", "gcp": "Google Cloud", "github": "GitHub",
            "great_expectations": "Great Expectations", "gsheets": "Google Sheets",
            "hightouch": "Hightouch", "jira": "Jira", "jupyter": "notebooks (run_notebook there)",
            "kafka": "Kafka", "kubernetes": "Kubernetes", "mixpanel": "Mixpanel",
            "monday": "Monday", "monte_carlo": "Monte Carlo", "mysql": "MySQL",
            "neo4j": "Neo4j", "postgres": "PostgreSQL (sql_query there)", "prometheus": "Prometheus",
            "redis": "Redis", "rss": "RSS", "sendgrid": "SendGrid",
            "sftp": "SFTP", "snowflake": "Snowflake", "sodaspark": "Soda", "sodasql": "Soda", "spacy": "spaCy",
            "sql_server": "SQL Server", "templates": "templates", "toloka": "Toloka",
            "trello": "Trello", "transform": "Transform", "twitter": "Twitter", "powershell": "PowerShell (ShellTask there)", "zendesk": "Zendesk",
        }.items()
    },
}  # fmt: skip


class RefusedError(ImportError):
    """What was imported is not here; the message says what to do instead."""


class _Refusals(MetaPathFinder):
    """Comes last, and says why a module is not found."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - as the protocol has it
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        below = fullname.removeprefix(f"{_HERE}.")
        if below == fullname:
            return None
        parts = below.split(".")
        for length in range(len(parts), 0, -1):
            reason = MODULES.get(".".join(parts[:length]))
            if reason is not None:
                msg = f"prefect.{below} is not in Loopline. {reason}"
                raise RefusedError(msg, name=fullname)
        return None


def install() -> None:
    """Explain imports of modules that are not here."""
    if not any(isinstance(finder, _Refusals) for finder in sys.meta_path):
        sys.meta_path.append(_Refusals())


def refusing(module: str, names: dict[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module some names of which are not here."""

    def get(name: str) -> NoReturn:
        reason = names.get(name)
        if reason is None:
            msg = f"module {module!r} has no attribute {name!r}"
            raise AttributeError(msg)
        theirs = module.removeprefix("loopline.compat.")
        msg = f"{theirs}.{name} is not in Loopline. {reason}"
        raise RefusedError(msg, name=module)

    return get
