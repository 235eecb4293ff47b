"""Branches in branches, merged; after conditions that fail or fit nothing; filters."""

from prefect import Flow, Parameter, case, task, triggers
from prefect.tasks.control_flow import ifelse, merge, switch
from prefect.tasks.control_flow.filter import FilterTask
from seen import show


@task
def kind(x):
    return {"a": "xgb", "b": "cat"}.get(x, x)


@task
def xgb():
    return "XGB"


@task
def cat(v="d"):
    return "CAT" + v


@task
def both(a, b=None):
    return (a, b)


@task
def isbig(n):
    return n > 5


@task
def fail():
    raise ValueError("x")


@task(skip_on_upstream_skip=False)
def always(x):
    return ("always", x)


@task(trigger=triggers.not_all_skipped)
def na(x, y):
    return (x, y)


with Flow("branches") as flow:
    k = Parameter("k", default="a")
    n = Parameter("n", default=3)
    kk = kind(k)
    with case(kk, "xgb"):
        a = xgb()
        a2 = both(a, 1)
    with case(kk, "cat"):
        b = cat()
        with case(isbig(n), True):
            b2 = both(b, "big")
        with case(isbig(n), False):
            b3 = both(b, "small")
        m1 = merge(b2, b3)
    m = merge(a2, m1)
    end = both(m, n)
    al = always(a)
    x = na(a, b)
    sw = switch(kk, {"xgb": xgb(), "cat": cat("s")})
    i1, i2 = cat("t"), cat("f")
    ie = ifelse(isbig(n), i1, i2)
    mi = merge(i1, i2)
    with case(fail(), True):
        ff = xgb()
    fm = merge(ff, xgb())
    flt = FilterTask(filter_func=lambda v: v != 3)
    fl = flt([1, 2, 3, None])
    fl2 = FilterTask()([1, None, ValueError("x"), 2])
flow.set_reference_tasks([end, al])
NAMES = [
    "a",
    "a2",
    "b",
    "b2",
    "b3",
    "m1",
    "m",
    "end",
    "al",
    "x",
    "i1",
    "i2",
    "mi",
    "ff",
    "fm",
    "fl",
    "fl2",
]
for params in ({}, {"k": "b"}, {"k": "b", "n": 9}, {"k": "zzz"}, {"k": None}):
    show(str(params), flow.run(parameters=params), **{name: globals()[name] for name in NAMES})
