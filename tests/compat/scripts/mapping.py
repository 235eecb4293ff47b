"""Mapping: elements, unmapped, lengths, failures, skipped elements, reduce."""

from prefect import Flow, mapped, task, unmapped
from prefect.engine import signals
from prefect.triggers import all_finished, any_successful
from seen import show


@task
def numbers():
    return [1, 2, 3]


@task
def add(x, y=10):
    return x + y


@task
def total(values):
    return sum(values)


with Flow("plain") as flow:
    found = numbers()
    first = add.map(found)
    second = add.map(first, y=unmapped(100))
    pairs = add.map(found, found)
    summed = total(second)
show("plain", flow.run(), found=found, first=first, second=second, pairs=pairs, summed=summed)

with Flow("mapped()") as flow:
    found = numbers()
    by_call = add(mapped(found), y=5)
show("mapped()", flow.run(), by_call=by_call)


@task
def pick(x):
    if x == 1:
        raise ValueError("no ones")
    if x == 2:
        raise signals.SKIP("no twos")
    return x


@task(trigger=all_finished, skip_on_upstream_skip=False)
def kinds(values):
    return [type(value).__name__ for value in values]


@task(trigger=any_successful, skip_on_upstream_skip=False)
def some(values):
    return values[-1]


with Flow("failing") as flow:
    picked = pick.map(numbers())
    after = add.map(picked)
    seen = kinds(picked)
    one = some(picked)
    strict = total(picked)
state = flow.run()
show("failing", state, picked=picked, after=after, seen=seen, one=one, strict=strict)

with Flow("empty") as flow:
    empty = add.map([])
    summed = total(empty)
show("empty", flow.run(), empty=empty, summed=summed)

with Flow("lengths") as flow:
    uneven = add.map([1, 2, 3], [10, 20])
show("uneven", flow.run(), uneven=uneven)

with Flow("not a list") as flow:
    strange = add.map(task(lambda: 5, name="five")())
state = flow.run()
show("not a list", type(state.result[strange]).__name__)

with Flow("text") as flow:
    letters = add.map("abc", unmapped("!"))
show("text", flow.run(), letters=letters)


with Flow("upstream") as flow:
    before = numbers()
    after = add.map([1, 2], upstream_tasks=[unmapped(before)])
show("unmapped upstream", flow.run(), after=after)
show(
    "mapped edges",
    sorted(
        [e.upstream_task.name, e.mapped]
        for e in flow.edges
        if e.downstream_task is after and e.key is None
    ),
)
