"""Operators, indexing, constants and collections as inputs."""

from prefect import Flow, Parameter, task
from prefect.tasks.core.constants import Constant
from prefect.tasks.core.operators import GetAttr
from seen import refused, show


@task
def give(x):
    return x


@task
def look(value):
    return value


with Flow("operators") as flow:
    a, b = Parameter("a", default=7), Parameter("b", default=2)
    made = {
        "add": a + b,
        "radd": 1 + a,
        "sub": a - b,
        "rsub": 1 - a,
        "mul": a * b,
        "rmul": 3 * a,
        "div": a / b,
        "rdiv": 14 / a,
        "floordiv": a // b,
        "rfloordiv": 15 // a,
        "mod": a % b,
        "rmod": 10 % a,
        "pow": a**b,
        "rpow": 2**b,
        "gt": a > b,
        "ge": a >= 7,
        "lt": a < b,
        "le": a <= 7,
        "and": a & b,
        "rand": True & a,
        "or": a.or_(b),
        "not": a.not_(),
        "equal": a.is_equal(7),
        "not equal": a.is_not_equal(7),
        "and false": give(0) & b,
        "or false": give(0).or_(b),
        "nested": (a + b) * (a - b),
    }
show("operators", flow.run(), **made)
show("names", sorted({t.name for t in made.values()}))
with Flow("indexing") as flow:
    values, table = give([1, 2, 3]), give({"x": {"y": 5}})
    first, last, part = values[0], values[-1], values[give(1)]
    deep, attribute = table["x"]["y"], GetAttr()(give(1 + 2j), "imag")
    missing = table["none"]
    bad = values + 1
show(
    "indexing",
    flow.run(),
    first=first,
    last=last,
    part=part,
    deep=deep,
    attribute=attribute,
    missing=missing,
)
show("failed operator", type(flow.run().result[bad]).__name__)


class Opaque:
    def __repr__(self):
        return "opaque"


with Flow("collections") as flow:
    x, y = give(1), give(2)
    looked = {
        "list": look([x, y, 3]),
        "tuple": look((x, 3)),
        "set": look({x, 3}),
        "dict": look({"k": x, "l": [y, {"m": x}]}),
        "keys": look({x: y}),
        "nested": look([[x], [[y]]]),
        "constant": look([1, [2]]),
        "opaque": look(Opaque()),
        "empty": look([]),
        "none": look(None),
        "text": look("text"),
    }
show("collections", flow.run(), **looked)
with Flow("unpacked") as flow:
    from prefect.utilities.tasks import as_task

    two = task(lambda: (1, 2), name="two", nout=2)
    left, right = two()
    whole = give(5)
    added = look([left, right])
    constant = look(Constant(4))
    named = look(Constant([1], name="named"))
show("nout", flow.run(), left=left, right=right, added=added, constant=constant, named=named)
show(
    "kinds",
    [
        type(left).__name__,
        type(as_task(3)).__name__,
        type(as_task(give)).__name__ in ("FunctionTask", "Task"),
    ],
)
refused("unpacking without nout", lambda: list(give(1, flow=Flow("x"))))
refused("length without nout", lambda: len(give(1, flow=Flow("x"))))
refused("too many", lambda: (lambda a, b, c: None)(*two(flow=Flow("x"))))
refused("negative nout", lambda: task(lambda: 1, nout=-1))


def typed() -> tuple:
    return 1


with Flow("constants") as flow:
    look(give(3), flow=flow)
    show("flow.constants", sorted(str(v) for v in flow.constants.values()))


@task(result=None, checkpoint=False, tags=["big"])
def big():
    return [1, 2]


with Flow("inherits") as flow:
    item = big()[0]
show("item", [type(item).__name__, item.checkpoint, item.result])
