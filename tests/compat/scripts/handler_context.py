"""What state handlers find in the context, of a task's changes and of the flow's."""

import datetime

import prefect
from prefect import Flow, Parameter, task
from seen import show

heard = []
NAMES = ("flow_name", "task_name", "task_slug", "task_run_count", "task_full_name", "parameters")


def hear(obj, old, new):
    values = [prefect.context.get(name) for name in NAMES]
    index = prefect.context.get("map_index")
    heard.append([type(new).__name__, *values, -1 if index is None else index])
    assert prefect.context.get("flow_run_id")


@task(state_handlers=[hear])
def fail(x):
    raise ValueError("no")


@task(state_handlers=[hear], max_retries=1, retry_delay=datetime.timedelta(0))
def again(x):
    raise ValueError("no")


with Flow("handlers", state_handlers=[hear]) as flow:
    failed = fail(Parameter("p", default=3))
    after = fail(failed)
show("task", flow.run(), failed=failed, after=after)
show("heard of the task", sorted(heard, key=str))

heard.clear()
with Flow("mapped") as flow:
    children = again.map([1])
show("mapped", flow.run(), children=children)
show("heard of the mapped", heard)
