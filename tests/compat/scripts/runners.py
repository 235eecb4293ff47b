"""TaskRunner and FlowRunner."""

import datetime

from prefect import Flow, Parameter, Task, task
from prefect.core import Edge
from prefect.engine import FlowRunner, TaskRunner
from prefect.engine.state import Failed, Pending, Skipped, Success
from seen import show


@task
def add(x=1, y=2):
    return x + y


@task
def bad():
    raise ValueError("bad")


show("task", TaskRunner(add).run())
show("task fails", TaskRunner(bad).run())
up = Task(name="up")
edge = Edge(up, add, key="x")
show("with inputs", TaskRunner(add).run(upstream_states={edge: Success(result=10)}))
show("upstream failed", type(TaskRunner(add).run(upstream_states={edge: Failed("no")})).__name__)
show("upstream skipped", type(TaskRunner(add).run(upstream_states={edge: Skipped("no")})).__name__)
show("upstream pending", type(TaskRunner(add).run(upstream_states={edge: Pending("no")})).__name__)
show("finished before", TaskRunner(add).run(state=Success("before", result=7)))
show("pending before", TaskRunner(add).run(state=Pending("before")))
retrying = task(lambda: 1 / 0, name="r", max_retries=1, retry_delay=datetime.timedelta(seconds=0))
made = TaskRunner(retrying).run()
show("retrying", type(made).__name__)
with Flow("runner") as flow:
    x = Parameter("x", default=1)
    total = add(x)
    after = add(total)
    failing = bad()
flow.set_reference_tasks([after])
state = FlowRunner(flow).run(return_tasks=[total, after])
show("flow", state, total=total, after=after)
show("returned", sorted(t.name for t in state.result))
state = FlowRunner(flow).run(return_tasks=[total], parameters={"x": 5})
show("parameters", state, total=total)
show("nothing returned", bool(FlowRunner(flow).run().result))
state = FlowRunner(flow).run(return_tasks=[after], task_states={total: Success(result=100)})
show("task states", state, after=after)
