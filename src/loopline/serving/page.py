"""The page of a serving process: what answers here, and a form that asks it, without a script."""

from __future__ import annotations

import importlib.metadata
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote

from loopline.rules.words import count_words, distance_words, time_words
from loopline.server.assets import asset_url
from loopline.server.pages import parts
from loopline.server.pages.html import Markup, document, join, link_to, tag

if TYPE_CHECKING:
    from loopline.models.schema import Column, Schema
    from loopline.serving.answers import Answer
    from loopline.serving.deployment import Challenge, Deployment
    from loopline.serving.model import ServedModel
    from loopline.serving.service import Service

__all__ = ["Trial", "body_of_form", "page"]

#: Types of columns that a field of a form holds.
_IN_FIELDS = {"boolean", "integer", "long", "float", "double", "string", "datetime"}
_WHOLE = {"integer", "long"}
_DECIMAL = {"float", "double"}
#: Keyboards that a phone shows.
_KEYS = {**dict.fromkeys(_WHOLE, "numeric"), **dict.fromkeys(_DECIMAL, "decimal")}
#: The field of a form that has the whole body, for models whose input is no simple table.
WHOLE_BODY = " body"


class Trial(NamedTuple):
    """A form that was sent.

    Attributes:
        name: Of the model.
        fields: As they were filled in.
        answer: Of the model.
        took_ms: From the question to the answer.
    """

    name: str
    fields: dict[str, str]
    answer: Answer
    took_ms: float


def body_of_form(model: ServedModel, form: bytes) -> tuple[bytes, dict[str, str]]:
    """Write the request that a form means; what is no number goes on as the text that it is.

    Returns:
        The body in JSON, and the fields as they were filled in.
    """
    pairs = parse_qsl(form.decode("utf-8", "replace"), keep_blank_values=True)
    fields = dict(pairs)
    columns = _columns(model)
    if columns is None:
        return fields.get(WHOLE_BODY, "").encode(), fields
    row: dict[str, object] = {}
    for column in columns:
        text = fields.get(str(column.name), "").strip()
        if text or column.type == "string":
            row[str(column.name)] = _value(text, column.type)
        elif column.type in _DECIMAL:
            row[str(column.name)] = None
    return json.dumps({"dataframe_records": [row]}).encode(), fields


def page(service: Service, *, trial: Trial | None = None, now_ms: int | None = None) -> str:
    """Write the page."""
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    names = list(service.deployments)
    title = names[0] if len(names) == 1 else f"{len(names)} models"
    served = [
        _model(each, now_ms, trial if trial is not None and trial.name == each.name else None)
        for each in service.deployments.values()
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · Loopline serves"),
        tag("link", rel="icon", href=asset_url("icon.svg"), type="image/svg+xml"),
        tag("link", rel="stylesheet", href=asset_url("loopline.css")),
    )
    brand = link_to("/", tag("img", src=asset_url("icon.svg"), alt=""), "Loopline", class_="brand")
    nav = tag(
        "nav",
        link_to("/health", "Health"),
        link_to("/metrics", "Metrics"),
        link_to("/openapi.json", "OpenAPI"),
        aria_label="Main",
    )
    body = tag(
        "body",
        link_to("#content", "Skip to the content", class_="skip"),
        tag("header", brand, nav, class_="top"),
        tag("main", served, id="content"),
        tag("footer", f"Loopline {importlib.metadata.version('loopline')}", class_="foot"),
    )
    return document(tag("html", join(head, body), lang="en"))


def _model(deployment: Deployment, now_ms: int, trial: Trial | None) -> Markup:
    """Show one model."""
    if deployment.engine is None:
        return join(tag("h1", deployment.name), parts.note("It is still loading.", kind="warn"))
    model = deployment.engine.model
    version = tag("span", f"version {model.version}", class_="pill good") if model.version else None
    problem = deployment.problem
    about = parts.section("What answers", parts.facts(_facts(deployment, model, now_ms)))
    return join(
        tag("h1", deployment.name, version),
        parts.note(problem, kind="bad") if problem else None,
        tag("div", _try(deployment, model, trial), tag("div", about, _elsewhere(deployment, model)),
            class_="columns"),
    )  # fmt: skip


def _facts(
    deployment: Deployment, model: ServedModel, now_ms: int
) -> list[tuple[str, Markup | str | None]]:
    since = deployment.since_ms
    flavors = sorted(set(model.model.metadata.flavors) - {"python_function"})
    recording = deployment.recording
    challenge = deployment.challenge
    answers = None if challenge is None else challenge.deployment.engine
    return [
        ("From", tag("code", deployment.address)),
        ("Version", model.version or "not registered"),
        ("Since", f"{time_words(since)} ({distance_words(since, now_ms)})"),
        ("Made with", ", ".join(flavors) or "Python"),
        ("Took over", count_words(deployment.swaps, "time") if deployment.swaps else None),
        ("Recorded", count_words(recording.recorded, "prediction") if recording else None),
        ("Challenger", f"{answers.model}, {_part(challenge)}" if answers and challenge else None),
    ]  # fmt: skip


def _part(challenge: Challenge) -> str:
    """Say what a challenger does."""
    return "asked beside" if challenge.share is None else f"answers {challenge.share:.0%}"


def _try(deployment: Deployment, model: ServedModel, trial: Trial | None) -> Markup:
    """Make the form, filled with the input example or with what was asked."""
    columns = _columns(model)
    filled = trial.fields if trial is not None else _examples(model, columns)
    wrong = _wrong(trial)
    if columns is None:
        said = filled.get(WHOLE_BODY, "")
        area = tag("textarea", said, name=WHOLE_BODY, rows=8, spellcheck="false", class_="mono")
        fields = [tag("label", tag("span", "Body, in JSON"), area)]
    else:
        fields = [_field(column, filled.get(str(column.name), ""), wrong) for column in columns]
    form = tag(
        "form",
        fields,
        tag("button", "Ask", type="submit"),
        method="post",
        action=f"/models/{quote(deployment.name, safe='')}/try",
        class_="card",
    )
    note = "It is answered as any request is, and not recorded."
    return parts.section(
        "Try it", _answer(trial), form, tag("p", note, class_="soft small"), id_="try"
    )


def _field(column: Column, value: str, wrong: str) -> Markup:
    """Make the field of one column."""
    name = str(column.name)
    shown = tag("span", name, " ", tag("small", _kind(column)))
    bad = True if name == wrong else None
    required = column.required and column.type != "string"
    if column.type == "boolean":
        options = [] if column.required else [tag("option", "", value="")]
        options += [
            tag("option", word, value=word, selected=value.lower() == word)
            for word in ("true", "false")
        ]
        return tag("label", shown, tag("select", options, name=name))
    return tag(
        "label",
        shown,
        tag(
            "input",
            name=name,
            value=value,
            required=required and column.type not in _DECIMAL,
            inputmode=_KEYS.get(column.type),
            autocomplete="off",
            aria_invalid="true" if bad else None,
        ),
    )  # fmt: skip


def _kind(column: Column) -> str:
    return column.type if column.required else f"{column.type}, or empty"


def _answer(trial: Trial | None) -> Markup | None:
    """Show what came back."""
    if trial is None:
        return None
    content = json.loads(trial.answer.body)
    if trial.answer.status != 200:  # noqa: PLR2004 - HTTP
        return parts.note(tag("p", str(content.get("message", content))), kind="bad")
    predictions = content["predictions"]
    if isinstance(predictions, list) and len(predictions) == 1:
        (predictions,) = predictions
    text = predictions if isinstance(predictions, str) else json.dumps(predictions, indent=1)
    return parts.note(
        tag("p", tag("output", text, class_="answer")),
        tag("p", f"Version {_version(trial)}, in {trial.took_ms:.1f} ms", class_="soft small"),
    )


def _version(trial: Trial) -> str:
    for line in trial.answer.headers.decode("latin-1").splitlines():
        name, _, value = line.partition(": ")
        if name == "x-loopline-model-version":
            return value
    return ""


def _wrong(trial: Trial | None) -> str:
    """Name the field that the model did not take."""
    if trial is None or trial.answer.status == 200:  # noqa: PLR2004 - HTTP
        return ""
    return str(json.loads(trial.answer.body).get("field", ""))


def _elsewhere(deployment: Deployment, model: ServedModel) -> Markup:
    """Say how a program asks."""
    example = _one_line(model)
    path = f"/models/{quote(deployment.name, safe='')}/invocations"
    lines = f"POST {path}\nContent-Type: application/json\n\n{example}"
    return parts.section("From a program", parts.command(lines))


def _one_line(model: ServedModel) -> str:
    return json.dumps(json.loads(model.example)) if model.example else '{"inputs": ...}'


def _columns(model: ServedModel) -> tuple[Column, ...] | None:
    """Tell the columns that a form can have fields for; None: it takes the whole body."""
    inputs: Schema | None = model.inputs
    columns = () if inputs is None else inputs.columns
    named = all(isinstance(column.name, str) and column.type in _IN_FIELDS for column in columns)
    return columns if columns and named else None


def _examples(model: ServedModel, columns: tuple[Column, ...] | None) -> dict[str, str]:
    """Take what a form is filled with at first out of the input example."""
    if not model.example:
        return {}
    if columns is None:
        return {WHOLE_BODY: model.example.decode()}
    found: dict[str, Any] = {}
    example = json.loads(model.example)
    split, inputs = example.get("dataframe_split"), example.get("inputs")
    if isinstance(split, dict) and split.get("data"):
        found = dict(zip(split.get("columns", []), split["data"][0], strict=False))
    elif isinstance(inputs, dict):
        found = {
            name: value[0] if isinstance(value, list) and value else value
            for name, value in inputs.items()
        }
    return {
        name: value if isinstance(value, str) else "" if value is None else json.dumps(value)
        for name, value in found.items()
    }


def _value(text: str, kind: str) -> object:
    """Read a field; what is not of its kind stays text, and the model says what is wrong."""
    if kind == "boolean" and text in {"true", "false"}:
        return text == "true"
    try:
        if kind in _WHOLE:
            return int(text)
        if kind in _DECIMAL:
            return float(text)
    except ValueError:
        return text
    return text
