"""The addresses of pages: written once, kept by whatever draws the pages later."""

from __future__ import annotations

from loopline.server.pages.html import Child, Markup, link_to, url

__all__ = [
    "artifact_url",
    "chart_url",
    "decision_picture_url",
    "decision_url",
    "experiment_url",
    "flow_link",
    "flow_run_link",
    "flow_run_url",
    "flow_url",
    "logged_model_file_url",
    "logged_model_link",
    "logged_model_url",
    "model_link",
    "model_url",
    "picture_url",
    "run_link",
    "run_url",
    "version_url",
]


def experiment_url(experiment_id: str) -> str:
    """The runs of an experiment."""
    return url("experiments", experiment_id)


def run_url(run_id: str) -> str:
    """A run."""
    return url("runs", run_id)


def run_link(run_id: str, *text: Child) -> Markup:
    """A link to a run, by its short id unless ``text`` says otherwise."""
    return link_to(run_url(run_id), *(text or (run_id[:8],)))


def chart_url(run_id: str, key: str) -> str:
    """The picture of a metric of a run."""
    return url("runs", run_id, "chart.svg", query={"key": key})


def artifact_url(run_id: str, path: str) -> str:
    """The bytes of a file of a run."""
    return url("runs", run_id, "artifacts", *path.split("/"))


def logged_model_url(model_id: str) -> str:
    """A logged model."""
    return url("logged-models", model_id)


def logged_model_link(model_id: str, *text: Child) -> Markup:
    """A link to a logged model, by its short id unless ``text`` says otherwise."""
    return link_to(logged_model_url(model_id), *(text or (model_id[:10],)))


def logged_model_file_url(model_id: str, path: str) -> str:
    """The bytes of a file of a logged model."""
    return url("logged-models", model_id, "artifacts", *path.split("/"))


def model_url(name: str, version: int = 0) -> str:
    """A registered model, or the place of one version on its page."""
    return url("models", name) + (f"#v{version}" if version else "")


def model_link(name: str, version: int = 0) -> Markup:
    """A link to a model or one of its versions."""
    return link_to(model_url(name, version), f"{name} v{version}" if version else name)


def version_url(name: str, version: int | str) -> str:
    """The page of a version of a model: why it is there, and what it is connected with."""
    return url("models", name, "versions", str(version))


def flow_url(project: str, name: str) -> str:
    """A flow."""
    return url("flows", project, name)


def flow_link(project: str, name: str) -> Markup:
    """A link to a flow; one that was only run from a script has no page."""
    return link_to(flow_url(project, name), name)


def flow_run_url(flow_run_id: str) -> str:
    """A flow run."""
    return url("flow-runs", flow_run_id)


def flow_run_link(flow_run_id: str, *text: Child) -> Markup:
    """A link to a flow run."""
    return link_to(flow_run_url(flow_run_id), *(text or (flow_run_id[:8],)))


def picture_url(flow_run_id: str) -> str:
    """The picture of a flow run's graph."""
    return url("flow-runs", flow_run_id, "picture.svg")


def decision_url(decision_id: str) -> str:
    """A decision over versions of a model."""
    return url("decisions", decision_id)


def decision_picture_url(decision_id: str) -> str:
    """The picture of a decision's gains."""
    return url("decisions", decision_id, "gains.svg")
