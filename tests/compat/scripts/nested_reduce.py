"""Maps of maps, flattened and reduced; of two lengths; over nothing; with failures."""

from prefect import Flow, flatten, mapped, task, unmapped
from seen import show


@task
def months():
    return [1, 2, 3]


@task
def files(m):
    return [f"{m}-{i}" for i in range(m)]


@task
def size(f):
    return int(f.split("-")[1]) + 1


@task
def add(a, b=0):
    return a + b


@task
def total(xs):
    return sum(x for x in xs if x is not None)


@task
def nested(f):
    return [f, f + "!"]


@task
def join(parts, sep):
    return sep.join(parts)


@task
def pair(a, b):
    return (a, b)


@task
def length(x):
    return len(x)


@task
def boom(x):
    if x == 2:
        raise ValueError("two")
    return x


@task
def identity(x):
    return x


with Flow("nested") as flow:
    ms = months()
    fs = files.map(ms)
    flat = flatten(fs)
    sz = size.map(flat)
    tot = total(sz)
    n = nested.map(flatten(fs))
    j = join(flatten(n), "+")
    p = pair.map(ms, sz)  # shorter of both
    q = pair.map(a=ms, b=unmapped(ms))
    r = pair(mapped(ms), ms)
    ln = length.map(fs)
    b = boom.map(ms)
    after = identity.map(b)
    red = total(b)
    mm = add.map(add.map(ms, b=unmapped(1)), b=unmapped(10))
    deep = identity.map(flatten(n))
    idx = identity(fs[1])
    el = identity(sz[0] + 1)
    emp = identity.map([])
    emp2 = total(emp)
    up = identity.map(ms, upstream_tasks=[fs])
    upm = identity.map(ms, upstream_tasks=[unmapped(fs)])


NAMES = [
    "fs",
    "sz",
    "tot",
    "n",
    "j",
    "p",
    "q",
    "r",
    "ln",
    "b",
    "after",
    "red",
    "mm",
    "deep",
    "idx",
    "el",
    "emp",
    "emp2",
    "up",
    "upm",
]
show("nested", flow.run(), **{name: globals()[name] for name in NAMES})
