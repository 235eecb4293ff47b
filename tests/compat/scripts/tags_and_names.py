"""Tags, names, slugs, task_args, task_run_name, copies of calls."""

import prefect
from prefect import Flow, Task, tags, task
from seen import show


@task(tags=["own"])
def one():
    return sorted(prefect.context.get("tags") or [])


@task(name="other name")
def two(x=None):
    return prefect.context.task_name


with Flow("tags") as flow:
    with tags("a", "b"):
        first = one()
        with tags("c"):
            inner = one()
    outside = one(task_args={"name": "renamed", "tags": ["more"]})
    named = two(task_args=dict(name="by args", max_retries=0))
    mapped = two.map([1], task_args={"name": "mapped"})
show("tags", [sorted(t.tags) for t in (first, inner, outside)])
show("names", [t.name for t in (first, inner, outside, named, mapped)])
show("ran", flow.run(), named=named, mapped=mapped)
show(
    "find",
    [
        len(flow.get_tasks(name="one")),
        len(flow.get_tasks(tags=["a"])),
        len(flow.get_tasks(tags=["a", "c"])),
    ],
)
with Flow("slugs") as flow:
    for _ in range(3):
        two()
    slugged = two(task_args={"slug": "mine"})
show("slugs", sorted(flow.slugs.values()))
with tags("outer"):
    with Flow("inside") as flow:
        show("around the flow", sorted(one().tags))
    show("constructed", sorted(Task(name="t").tags))
show("afterwards", sorted(Task(name="t").tags))
show("given twice", sorted(Task(tags=["x", "x", "y"]).tags))
