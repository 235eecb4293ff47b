"""Reference tasks decide how a run ended; terminal tasks are the default."""

from prefect import Flow, task
from prefect.engine import signals
from prefect.triggers import all_finished, always_run
from seen import show


@task
def good():
    return 1


@task
def bad():
    raise ValueError("bad")


@task
def skip():
    raise signals.SKIP("skip")


@task(trigger=all_finished, skip_on_upstream_skip=False)
def last():
    return "last"


with Flow("terminal") as flow:
    failing = bad()
    end = last(upstream_tasks=[failing])
show("hidden failure", flow.run(), failing=failing, end=end)
flow.set_reference_tasks([failing])
show("reference", flow.run(), failing=failing, end=end)
flow.set_reference_tasks([failing, end])
show("both", flow.run(), failing=failing, end=end)
flow.set_reference_tasks([])
show("none again", [t.name for t in flow.reference_tasks()])
with Flow("skipped") as flow:
    skipped = skip()
    after = good(upstream_tasks=[skipped])
    beyond = good(upstream_tasks=[after])
    kept = last(upstream_tasks=[beyond])
show("skipped goes on", flow.run(), skipped=skipped, after=after, beyond=beyond, kept=kept)
with Flow("all skipped") as flow:
    skipped = skip()
show("all skipped", flow.run(), skipped=skipped)
with Flow("failed beyond") as flow:
    failing = bad()
    after = good(upstream_tasks=[failing])
    beyond = good(upstream_tasks=[after])
    mixed = good(upstream_tasks=[failing, skip()])
    always = task(lambda: 3, name="always", trigger=always_run)(upstream_tasks=[beyond])
show(
    "failed goes on",
    flow.run(),
    failing=failing,
    after=after,
    beyond=beyond,
    mixed=mixed,
    always=always,
)
show("empty", [type(Flow("empty").run()).__name__, Flow("empty").run().result])
