"""Triggers of tasks after one that was mapped over nothing."""

from prefect import Flow, task, triggers
from seen import show


@task
def ident(x):
    return x


@task
def empty():
    return []


with Flow("e") as flow:
    m = ident.map(empty())
    ts = {}
    for n in [
        "all_successful",
        "all_failed",
        "any_successful",
        "any_failed",
        "all_finished",
        "not_all_skipped",
    ]:
        ts[n] = task(
            lambda x: "ran", name=n, trigger=getattr(triggers, n), skip_on_upstream_skip=False
        )(m)
        ts[n + "2"] = task(
            lambda: "ran", name=n + "2", trigger=getattr(triggers, n), skip_on_upstream_skip=False
        )(upstream_tasks=[m])
    ts["some"] = task(lambda x: "ran", name="some", trigger=triggers.some_failed(at_least=1))(m)
    ts["some0"] = task(
        lambda x: "ran", name="some", trigger=triggers.some_successful(at_least=0.5)
    )(m)
    ts["mapped_any_failed"] = task(lambda x: "ran", name="maf", trigger=triggers.any_failed).map(m)
    for n in ["any_successful", "any_failed", "all_failed"]:
        ts["root" + n] = task(lambda: "ran", name="r" + n, trigger=getattr(triggers, n))()
show("after nothing", flow.run(), **ts)
