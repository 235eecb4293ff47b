"""FilterTask."""

from prefect import Flow, task
from prefect.engine import signals
from prefect.tasks.control_flow import FilterTask
from seen import show


@task
def pick(x):
    if x == 1:
        raise ValueError("one")
    if x == 2:
        raise signals.SKIP("two")
    return None if x == 3 else x


@task
def count(values):
    return len(values)


keep_odd = FilterTask(
    filter_func=lambda x: isinstance(x, int) and x % 2 == 1, log_func=lambda x: f"dropped {len(x)}"
)
with Flow("filter") as flow:
    picked = pick.map([1, 2, 3, 4, 5])
    default = FilterTask()(picked)
    odd = keep_odd(picked)
    counted = count(default)
    after = count.map(
        FilterTask(lambda x: isinstance(x, list))(task(lambda: [[1], 2, [3, 4]], name="lists")())
    )
show("ran", flow.run(), default=default, odd=odd, counted=counted, after=after)
show(
    "options",
    [FilterTask().name, FilterTask().skip_on_upstream_skip, FilterTask().trigger.__name__],
)
