"""Nested mapping: flatten, apply_map, a map of a map, case in apply_map."""

from prefect import Flow, apply_map, case, flatten, task, unmapped
from prefect.tasks.control_flow import merge
from seen import show


@task
def up_to(n):
    return list(range(n))


@task
def add(x, y=1):
    return x + y


@task
def is_even(x):
    return x % 2 == 0


@task
def half(x):
    return x // 2


@task
def total(values):
    return sum(values)


with Flow("flatten") as flow:
    nested = up_to.map([1, 2, 3])
    flat = add.map(flatten(nested))
    whole = total(flatten(nested))
    each = total.map(nested)
    twice = add.map(flatten([[1], [2, 3]]), y=unmapped(10))
show("flatten", flow.run(), nested=nested, flat=flat, whole=whole, each=each, twice=twice)


def shorten(x, step):
    even = is_even(x)
    with case(even, True):
        small = half(x)
    with case(even, False):
        odd = add(x, step)
    return merge(small, odd)


with Flow("apply_map") as flow:
    short = apply_map(shorten, [1, 2, 3, 4], step=unmapped(1))
    result = total(short)
show("apply_map", flow.run(), short=short, result=result)


def two(x):
    return add(x), add(x, 2)


with Flow("several") as flow:
    left, right = apply_map(two, up_to(3))
show("several results", flow.run(), left=left, right=right)
with Flow("with edges") as flow:
    first = up_to(2)
    done = apply_map(lambda x: add(x, 5), flatten([[1], [2]]))
show("flattened", flow.run(), done=done)
