"""Small ones: pause_task, raise_on_exception, defaults_from_attrs, collections, chain."""

from prefect import Flow, task
from prefect.triggers import manual_only
from prefect.utilities.collections import (
    DotDict,
    as_nested_dict,
    dict_to_flatdict,
    flatdict_to_dict,
    flatten_seq,
    merge_dicts,
)
from prefect.utilities.debug import raise_on_exception
from seen import refused, show


@task
def bad():
    raise ValueError("bad")


with Flow("raises") as flow:
    bad()


def raising():
    with raise_on_exception():
        flow.run()


refused("raise_on_exception", raising)
dots = DotDict(a=1, b=DotDict(c=2))
show("dotdict", [dots.a, dots.b.c, dots["a"], dots.get("z"), dots.to_dict()])
show("nested", as_nested_dict({"a": {"b": 1}}, DotDict).a.b)
show("merged", merge_dicts({"a": {"b": 1}}, {"a": {"c": 2}}))
show(
    "flat", [list(flatten_seq([1, [2, [3]]])), flatdict_to_dict(dict_to_flatdict({"a": {"b": 1}}))]
)
show("trigger", [task(lambda: 1, trigger=manual_only).trigger.__name__])
show(
    "attributes",
    [
        bad.max_retries,
        bad.timeout,
        bad.tags,
        bad.skip_on_upstream_skip,
        bad.cache_for,
        bad.checkpoint,
        bad.log_stdout,
        bad.state_handlers,
        bad.nout,
        bad.retry_delay,
        bad.target,
        bad.cache_key,
        bad.task_run_name,
    ],
)
with Flow("pipe") as flow:
    first = task(lambda: 3, name="three")()
    piped = first.pipe(task(lambda x, y: x * y, name="times"), y=4)
show("pipe", flow.run(), piped=piped)
