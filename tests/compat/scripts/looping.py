"""LOOP: counts, results, retries in a loop, mapped loops."""

import datetime

import prefect
from prefect import Flow, task
from prefect.engine.signals import FAIL, LOOP
from seen import show

states = []


def note(obj, old, new):
    states.append(f"{type(old).__name__} > {type(new).__name__}")


@task(state_handlers=[note])
def factorial(n):
    count = prefect.context.get("task_loop_count", 1)
    so_far = prefect.context.get("task_loop_result", 1)
    if count < n:
        raise LOOP(message=f"{count}", result=so_far * count)
    return so_far * count


@task(max_retries=1, retry_delay=datetime.timedelta(0))
def shaky():
    count = prefect.context.get("task_loop_count", 1)
    attempt = prefect.context.task_run_count
    so_far = prefect.context.get("task_loop_result") or []
    if attempt == 1:
        raise ValueError("first attempts fail")
    if count < 3:
        raise LOOP(result=[*so_far, [count, attempt]])
    return [*so_far, [count, attempt]]


@task
def gives_up():
    if prefect.context.get("task_loop_count", 1) == 2:
        raise FAIL("enough", result=prefect.context.task_loop_result)
    raise LOOP(result="once")


with Flow("loops") as flow:
    result = factorial(4)
    after = task(lambda x: x + 1, name="after")(result)
    mapped = factorial.map([1, 2, 3])
    retried = shaky()
    ended = gives_up()
show("ran", flow.run(), result=result, after=after, mapped=mapped, retried=retried, ended=ended)
with Flow("states") as flow:
    factorial(3)
states.clear()
flow.run()
show("states", states)
