"""Secrets, the context, environment."""

import os

import prefect
from prefect import Flow, task
from prefect.client import Secret
from prefect.tasks.secrets import EnvVarSecret, PrefectSecret
from seen import refused, show

os.environ["FARE_KEY"] = "3"


@task
def use(secret):
    return f"used {secret}"


with prefect.context(secrets={"KEY": "value", "JSON": {"a": 1}}):
    show(
        "secret",
        [
            Secret("KEY").get(),
            Secret("JSON").get(),
            Secret("KEY").exists(),
            Secret("NONE").exists(),
        ],
    )
    refused("no secret", lambda: Secret("NONE").get())
    with Flow("secrets") as flow:
        key, number = PrefectSecret("KEY"), EnvVarSecret("FARE_KEY", cast=int)
        used = use(key)
        later = use(EnvVarSecret("NOT_SET"))
        missing = use(EnvVarSecret("NOT_SET_EITHER", raise_if_missing=True))
    state = flow.run()
    show("ran", state, used=used, later=later, missing=missing)
    show("name", [key.name, number.name, key.secret_name])


@task
def put():
    prefect.context["changed"] = 1
    return prefect.context.get("changed")


@task
def get():
    return prefect.context.get("changed")


with Flow("context") as flow:
    first = put()
    second = get(upstream_tasks=[first])
show("context of tasks", flow.run(), first=first, second=second)
show("dict", [prefect.context.to_dict().get("nothing"), "secrets" in prefect.context])
