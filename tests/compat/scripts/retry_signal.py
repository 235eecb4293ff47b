"""RETRY with a time of its own."""

import datetime

import prefect
from prefect import Flow, task
from prefect.engine import signals
from seen import show

states = []


def note(obj, old, new):
    states.append(f"{type(old).__name__} > {type(new).__name__}")


@task(state_handlers=[note])
def once():
    if prefect.context.task_run_count < 2:
        raise signals.RETRY("soon", start_time=datetime.datetime.now(datetime.timezone.utc))
    return prefect.context.task_run_count


with Flow("pausing") as flow:
    waited = once()
show("retried", flow.run(), waited=waited)
show("states", states)
