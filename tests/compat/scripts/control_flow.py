"""case, switch, ifelse, merge, and what is skipped."""

from prefect import Flow, Parameter, case, task
from prefect.engine import signals
from prefect.tasks.control_flow import ifelse, merge, switch
from seen import show


@task
def give(x):
    return x


@task
def fails():
    raise ValueError("in the branch")


@task
def add(x, y):
    return x + y


with Flow("case") as flow:
    choice = Parameter("choice", default="a")
    with case(choice, "a"):
        a1 = give("a1")
        a2 = give(a1)
    with case(choice, "b"):
        b1 = give("b1")
    merged = merge(a2, b1)
    outside = give(b1)
for value in ("a", "b", "c"):
    state = flow.run(choice=value)
    show(f"case {value}", state, a1=a1, a2=a2, b1=b1, merged=merged, outside=outside)

with Flow("nested") as flow:
    first, second = Parameter("first"), Parameter("second")
    with case(first, True):
        with case(second, True):
            inner = give("inner")
        outer = give("outer")
for values in ((True, True), (True, False), (False, True)):
    show(f"nested {values}", flow.run(first=values[0], second=values[1]), inner=inner, outer=outer)

with Flow("ifelse") as flow:
    condition = Parameter("condition")
    yes, no = give("yes"), give("no")
    ifelse(condition, yes, no)
    either = merge(yes, no)
for value in (True, False, 1, 0, "text", None, []):
    show(f"ifelse {value!r}", flow.run(condition=value), yes=yes, no=no, either=either)

with Flow("switch") as flow:
    key = Parameter("key")
    one, two = give(1), give(2)
    switch(key, {"one": one, "two": two})
    either = merge(one, two)
for value in ("one", "two", "three"):
    show(f"switch {value}", flow.run(key=value), one=one, two=two, either=either)

with Flow("failing branch") as flow:
    with case(True, True):
        bad = fails()
    with case(True, False):
        good = give(1)
    merged = merge(bad, good)
show("failing branch", flow.run(), bad=bad, good=good, merged=merged)

with Flow("checkpointed merge") as flow:
    nothing = give(None)
    something = give(3)
    merged = merge(nothing, something)
show("merge of None", flow.run(), merged=merged)

with Flow("condition fails") as flow:
    with case(fails(), True):
        inside = give(1)
    merged = merge(inside)
show("condition fails", flow.run(), inside=inside, merged=merged)

with Flow("condition skipped") as flow:

    @task
    def skips():
        raise signals.SKIP("no")

    with case(skips(), True):
        inside = give(1)
show("condition skipped", flow.run(), inside=inside)
with Flow("constant outside") as flow:
    value = give(2)
    with case(value, 2):
        inside = add(value, 1)
    with case(value, 3):
        other = add(value, 1)
    result = add(merge(inside, other), 10)
show("with inputs", flow.run(), inside=inside, other=other, result=result)
with Flow("map in case") as flow:
    with case(give(1), 1):
        mapped = give.map([1, 2])
    with case(give(1), 2):
        unmapped = give.map([1, 2])
show("map in a case", flow.run(), mapped=mapped, unmapped=unmapped)
with Flow("map of conditions") as flow:
    numbers = give([1, 2])
    merged = merge(give.map(numbers), give.map(numbers))
show("merge of mapped", flow.run(), merged=merged)
with Flow("names") as flow:
    with case(give("a"), "a"):
        give("b")
show("names", sorted(t.name for t in flow.tasks))
