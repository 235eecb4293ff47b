"""How a skip goes on: skip_on_upstream_skip, over mapped tasks and values."""

from prefect import Flow, Parameter, task
from prefect.engine import signals
from prefect.triggers import all_finished, any_failed, not_all_skipped
from seen import show


@task
def skip_if(flag):
    if flag:
        raise signals.SKIP("skip")
    return 1


@task
def after(x):
    return x


@task(skip_on_upstream_skip=False)
def anyway(x):
    return "anyway"


@task(trigger=all_finished)
def finished(x):
    return "finished"


@task(trigger=not_all_skipped, skip_on_upstream_skip=False)
def some(x, y):
    return "some"


@task(trigger=any_failed, skip_on_upstream_skip=False)
def failed(x):
    return "failed"


with Flow("skipping") as flow:
    one, two = Parameter("one"), Parameter("two")
    a, b = skip_if(one), skip_if(two)
    made = {
        "after": after(a),
        "anyway": anyway(a),
        "finished": finished(a),
        "some": some(a, b),
        "failed": failed(a),
        "beyond": anyway(after(a)),
        "mapped": after.map([1, 2], upstream_tasks=[b]),
        "both": after([a, b]),
        "state only": anyway(b, upstream_tasks=[a]),
    }
for values in ((True, True), (True, False), (False, True), (False, False)):
    show(f"skips {values}", flow.run(one=values[0], two=values[1]), **made)
with Flow("mapped") as flow:
    many = skip_if.map([True, False])
    each = after.map(many)
    whole = anyway(each)
show("mapped", flow.run(), each=each, whole=whole)
