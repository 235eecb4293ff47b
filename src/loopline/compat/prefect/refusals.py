"""What Prefect 1 has and Loopline has not, each with what to do instead.

An import of it says so: a program that needs a missing thing shall not fail an hour later.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["GRAPHQL", "MODULES", "NAMES", "RefusedError", "install", "refusing"]

_HERE = "loopline.compat.prefect"
_CONTAINERS = (
    "Loopline starts no containers. Workers run flows in processes of the environment that was "
    "recorded with them (LocalRun), or on a cloud machine (loopline.run_configs.VMRun)."
)
_OWN_STORE = (
    "Loopline keeps a flow's code with its version in the store, by flow.register(), so that no "
    "storage has to be named. Leave it out."
)
GRAPHQL = (
    "Loopline's server speaks REST: /api/v1/openapi.json lists every call, and loopline.Client and "
    "the views of prefect.backend make the most common ones."
)
_ONE_ENGINE = (
    "One engine runs flows with and without a backend, and sends heartbeats by itself: flow.run(), "
    "or TaskRunner and FlowRunner of prefect.engine."
)
_WORKER = (
    "The agent here is the worker: `loopline worker --label LABEL`, or LocalAgent of prefect.agent."
)
_SEND = (
    "Use loopline.tasks.SendMessage: it knows mail, Pushbullet and a hundred other services by "
    "their addresses, such as mailtos://user:${MAIL_PASSWORD}@example.com?to=team@example.com."
)
_HANDLER = (
    "Write a state handler that calls the library: def tell(task, old, new): ..., or use "
    "loopline.flows.notifications.webhook_notifier."
)
_INSIDE = "It is of the inside of Prefect's engine, and has no counterpart."
_SETTINGS = "Loopline's settings are environment variables; prefect.config is there to be read."
_SCHEMAS = (
    "Flows and states are written as plain data here: flow.serialize(), state.serialize() and "
    "State.deserialize()."
)
_LIBRARY = (
    "Loopline's own tasks are in loopline.tasks. For {what} call its own library in a task: "
    "@task def step(...): ..."
)

#: Families of Prefect's tasks that are not here, with what they are for.
FAMILIES = {
    "airbyte": "Airbyte",
    "airtable": "Airtable",
    "asana": "Asana",
    "aws": "AWS (boto3)",
    "azure": "Azure",
    "azureml": "Azure ML",
    "census": "Census",
    "cubejs": "Cube.js",
    "databricks": "Databricks",
    "dbt": "dbt",
    "docker": "Docker",
    "dremio": "Dremio",
    "dropbox": "Dropbox",
    "exasol": "Exasol",
    "firebolt": "Firebolt",
    "fivetran": "Fivetran",
    "gcp": "Google Cloud",
    "github": "GitHub",
    "great_expectations": "Great Expectations",
    "gsheets": "Google Sheets",
    "hightouch": "Hightouch",
    "jira": "Jira",
    "jupyter": "notebooks (ExecuteNotebook is there)",
    "kafka": "Kafka",
    "kubernetes": "Kubernetes",
    "mixpanel": "Mixpanel",
    "monday": "Monday",
    "monte_carlo": "Monte Carlo",
    "mysql": "MySQL (SQLQuery is there)",
    "neo4j": "Neo4j",
    "postgres": "PostgreSQL (SQLQuery is there)",
    "powershell": "PowerShell (ShellTask is there)",
    "prometheus": "Prometheus",
    "redis": "Redis",
    "rss": "RSS",
    "sendgrid": "SendGrid",
    "sftp": "SFTP",
    "snowflake": "Snowflake",
    "sodaspark": "Soda",
    "sodasql": "Soda",
    "spacy": "spaCy",
    "sql_server": "SQL Server",
    "templates": "templates",
    "toloka": "Toloka",
    "transform": "Transform",
    "trello": "Trello",
    "twitter": "Twitter",
    "zendesk": "Zendesk",
}

#: Modules that are not here: path below ``prefect`` → what to do instead.
MODULES: dict[str, str] = {
    "agent.agent": _WORKER,
    "agent.docker": _CONTAINERS,
    "agent.ecs": _CONTAINERS,
    "agent.kubernetes": _CONTAINERS,
    "agent.vertex": _CONTAINERS,
    **dict.fromkeys(
        ("run_configs.docker", "run_configs.ecs", "run_configs.kubernetes", "run_configs.vertex"),
        _CONTAINERS,
    ),
    **dict.fromkeys(
        (
            "storage.azure",
            "storage.bitbucket",
            "storage.codecommit",
            "storage.gcs",
            "storage.git",
            "storage.github",
            "storage.gitlab",
            "storage.s3",
            "storage.webhook",
        ),
        _OWN_STORE,
    ),
    "hello_world": "`loopline demo taxifare` shows a whole flow.",
    "tasks.notifications.email_task": _SEND,
    "tasks.notifications.pushbullet_task": _SEND,
    "utilities.notifications.jira_notification": _HANDLER,
    "cli": "Use the command `loopline`: `loopline flows --help`, `loopline worker --help`.",
    "backend.execution": "`loopline flows run NAME` and `loopline worker` carry runs out.",
    "backend.tenant": "A store has no tenants: teams have servers, and projects in them.",
    "engine.cloud": _ONE_ENGINE,
    "engine.runner": _ONE_ENGINE,
    "serialization": _SCHEMAS,
    "storage.docker": _CONTAINERS,
    "utilities.agent": _CONTAINERS,
    "utilities.aws": _LIBRARY.format(what="AWS (boto3)"),
    "utilities.backend": "The store is the one in LOOPLINE_URI; nothing has to be chosen.",
    "utilities.diagnostics": "Use flow.diagnostics(), or `loopline doctor`.",
    "utilities.executors": _ONE_ENGINE,
    "utilities.filesystems": _OWN_STORE,
    "utilities.gcp": _LIBRARY.format(what="Google Cloud"),
    "utilities.git": _LIBRARY.format(what="git"),
    "utilities.graphql": GRAPHQL,
    "utilities.kubernetes": _CONTAINERS,
    "utilities.storage": _OWN_STORE,
    "utilities.plugins": "Loopline has no plug-in registry of this kind: import what you need.",
    **{f"tasks.{family}": _LIBRARY.format(what=what) for family, what in FAMILIES.items()},
}


#: Names that are not in a module which is here: path below ``prefect`` → names → what to do.
NAMES: dict[str, dict[str, str]] = {
    "": {"cli": MODULES["cli"], "hello_world": MODULES["hello_world"]},
    "agent": {"Agent": _WORKER},
    "backend": {"TenantView": MODULES["backend.tenant"]},
    "backend.flow_run": {
        "check_for_compatible_agents": "`loopline workers` shows who would take a run.",
        "stream_flow_run_logs": "Use watch_flow_run, or `loopline flow-runs logs --follow`.",
    },
    "configuration": dict.fromkeys(
        (
            "create_user_config",
            "interpolate_config",
            "interpolate_env_vars",
            "load_configuration",
            "load_default_config",
            "load_toml",
            "process_task_defaults",
            "to_environment_variables",
            "validate_config",
        ),
        _SETTINGS,
    ),
    "core.edge": {"is_valid_identifier": "Use str.isidentifier()."},
    "core.flow": {"ParameterDetails": _INSIDE},
    "core.task": dict.fromkeys(("NoDefault", "TaskMetaclass", "instance_property"), _INSIDE),
    "engine": dict.fromkeys(
        ("get_default_flow_runner_class", "get_default_task_runner_class"), _ONE_ENGINE
    ),
    "engine.flow_runner": dict.fromkeys(("FlowRunnerInitializeResult", "run_task"), _INSIDE),
    "engine.result": {"NoResultType": _INSIDE},
    "engine.result.base": dict.fromkeys(("NoResultType", "ResultNotImplementedError"), _INSIDE),
    "engine.task_runner": {"TaskRunnerInitializeResult": _INSIDE},
    "exceptions": {
        "VersionLockMismatchSignal": (
            "A lease with a fencing token keeps two workers from running one flow run."
        )
    },
    "executors.dask": {"PrefectCallback": _INSIDE},
    "run_configs": dict.fromkeys(
        ("DockerRun", "ECSRun", "KubernetesRun", "VertexRun"), _CONTAINERS
    ),
    "storage": {
        **dict.fromkeys(
            ("Azure", "Bitbucket", "CodeCommit", "GCS", "Git", "GitHub", "GitLab", "S3", "Webhook"),
            _OWN_STORE,
        ),
        "Docker": _CONTAINERS,
    },
    "tasks.core.collections": {"VarArgsTask": _INSIDE},
    "tasks.notifications": {"EmailTask": _SEND, "PushbulletTask": _SEND},
    "utilities.logging": dict.fromkeys(
        (
            "CloudHandler",
            "LOG_MANAGER",
            "LogManager",
            "configure_extra_loggers",
            "configure_logging",
            "create_diagnostic_logger",
            "getlogsize",
        ),
        "Loopline records the lines of every run by itself, with or without a server.",
    ),
    "utilities.notifications": dict.fromkeys(
        (
            "jira_notifier",
            "slack_message_formatter",
            "snowflake_logger",
            "snowflake_message_formatter",
        ),
        _HANDLER,
    ),
    "utilities.notifications.notifications": dict.fromkeys(
        (
            "email_message_formatter",
            "slack_message_formatter",
            "snowflake_logger",
            "snowflake_message_formatter",
        ),
        _HANDLER,
    ),
    "utilities.serialization": dict.fromkeys(
        (
            "Bytes",
            "DateTimeTZ",
            "FunctionReference",
            "JSONCompatible",
            "Nested",
            "ObjectSchema",
            "ObjectSchemaOptions",
            "OneOfSchema",
            "SortedList",
            "StatefulFunctionReference",
            "UUID",
        ),
        _SCHEMAS,
    ),
}


class RefusedError(ImportError):
    """What was imported is not here; the message says what to do instead."""


class _Refusals(MetaPathFinder):
    """Comes last, and says why a module is not found."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
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


def refusing(module: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module.

    Modules below a package are there by attribute once the package is imported, as Prefect has it
    (``prefect.utilities.logging.get_logger()``); names that are not here say what to do instead.
    """
    below = module.removeprefix(_HERE).lstrip(".")
    names = NAMES.get(below, {})

    def get(name: str) -> Any:
        reason = names.get(name)
        if reason is not None:
            theirs = f"prefect.{below}.{name}" if below else f"prefect.{name}"
            msg = f"{theirs} is not in Loopline. {reason}"
            raise RefusedError(msg, name=module)
        path = f"{module}.{name}"
        if not name.startswith("_") and hasattr(sys.modules[module], "__path__"):
            try:
                return importlib.import_module(path)
            except ModuleNotFoundError as error:
                if error.name != path:
                    raise
        msg = f"module {module!r} has no attribute {name!r}"
        raise AttributeError(msg)

    return get
