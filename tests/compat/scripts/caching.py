"""Caches with each validator."""

import datetime

from prefect import Flow, Parameter, task
from prefect.engine import cache_validators
from seen import refused, show

DAY = datetime.timedelta(days=1)
VALIDATORS = {
    "default": None,
    "never_use": cache_validators.never_use,
    "duration_only": cache_validators.duration_only,
    "all_inputs": cache_validators.all_inputs,
    "all_parameters": cache_validators.all_parameters,
    "partial_inputs_only x": cache_validators.partial_inputs_only(["x"]),
    "partial_inputs_only": cache_validators.partial_inputs_only(),
    "partial_parameters_only a": cache_validators.partial_parameters_only(["a"]),
    "own, yes": lambda state, inputs, parameters: True,
    "own, no": lambda state, inputs, parameters: False,
}
RUNS = [(1, 1), (1, 1), (1, 2), (2, 2), (1, 1)]

for name, validator in VALIDATORS.items():
    calls = []
    options = {} if validator is None else {"cache_validator": validator}

    @task(cache_for=DAY, name=f"cached by {name}", **options)
    def cached(x, y):
        calls.append((x, y))
        return [len(calls), x, y]

    with Flow(f"caching by {name}") as flow:
        a, b = Parameter("a"), Parameter("b")
        result = cached(a, b)
    shown = []
    for x, y in RUNS:
        state = flow.run(a=x, b=y)
        shown.append([type(state.result[result]).__name__, state.result[result].result])
    show(name, shown)

calls = []


@task(cache_for=DAY, cache_key="shared by two")
def one():
    calls.append("one")
    return 1


@task(cache_for=DAY, cache_key="shared by two")
def other():
    calls.append("other")
    return 2


with Flow("shared") as flow:
    first = one()
    second = other(upstream_tasks=[first])
show("shared key", flow.run(), first=first, second=second)


@task(cache_for=datetime.timedelta(seconds=-1), name="expired")
def expired():
    calls.append("expired")
    return len(calls)


with Flow("expired") as flow:
    result = expired()
show("expired", [told.result for told in (flow.run().result[result], flow.run().result[result])])
refused(
    "validator without cache_for",
    lambda: task(lambda: 1, cache_validator=cache_validators.all_inputs),
)


@task(cache_for=DAY, name="mapped cache", cache_validator=cache_validators.all_inputs)
def each(x):
    calls.append(x)
    return x


with Flow("mapped cache") as flow:
    numbers = Parameter("numbers")
    mapped = each.map(numbers)
flow.run(numbers=[1, 2])
before = len(calls)
show("mapped", flow.run(numbers=[2, 1, 3]), mapped=mapped)
show("mapped calls", len(calls) - before)
