"""Parameters: defaults, required ones, unknown ones, values of a run."""

import datetime

from prefect import Flow, Parameter, task
from prefect.core.parameter import DateTimeParameter
from seen import refused, show


@task
def join(*, month, model, extra):
    return [month, model, extra]


with Flow("parameters") as flow:
    month = Parameter("month")
    model = Parameter("model", default="gbm")
    nothing = Parameter("nothing", default=None, required=False)
    both = join(month=month, model=model, extra=nothing)

show("given", flow.run(month="2022-01"), month=month, model=model, nothing=nothing, both=both)
show("by parameters", flow.run(parameters={"month": 3, "model": [1]}), both=both)
refused("not given", flow.run)
refused("unknown", lambda: flow.run(month=1, year=2))
show("names", sorted(p.name for p in flow.parameters()))
show("required", sorted([p.name, p.required, p.default] for p in flow.parameters()))
show("slug", month.slug)


def twice():
    with Flow("twice"):
        join(month=Parameter("month"), model=Parameter("month"), extra=1)


refused("two of one name", twice)


@task
def year_of(when):
    return [when.year, when.month, when.hour]


with Flow("moments") as moments:
    when = DateTimeParameter("when", required=False)
    year = year_of(when)

show("moment", moments.run(when="2022-03-01T04:00:00+00:00"), year=year)
show(
    "datetime",
    moments.run(when=datetime.datetime(2022, 5, 1, 6, tzinfo=datetime.timezone.utc)),
    year=year,
)
show("no moment", [type(moments.run().result[when]).__name__, moments.run().result[when].result])
with Flow("mapped over a parameter") as mapped:
    numbers = Parameter("numbers", default=[1, 2, 3])
    squared = task(lambda x: x * x, name="square").map(numbers)
show("mapped", mapped.run(), squared=squared)
show("mapped over two", mapped.run(numbers=[5, 6]), squared=squared)
