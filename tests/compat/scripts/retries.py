"""Retries: counts, delays, retry_on, signals, mapped children."""

import datetime

import prefect
from prefect import Flow, task
from prefect.engine import signals
from seen import refused, show

SOON = datetime.timedelta(milliseconds=1)
states = []


def note(obj, old, new):
    states.append(f"{type(old).__name__} > {type(new).__name__}")


@task(max_retries=2, retry_delay=SOON, state_handlers=[note])
def third_time():
    count = prefect.context.task_run_count
    if count < 3:
        raise ValueError(f"attempt {count}")
    return count


@task(max_retries=2, retry_delay=SOON)
def never():
    raise ValueError(f"attempt {prefect.context.task_run_count}")


@task(max_retries=2, retry_delay=SOON, retry_on=(KeyError, OSError))
def only_some(kind):
    if kind == "key":
        raise KeyError(prefect.context.task_run_count)
    raise ValueError(prefect.context.task_run_count)


@task(max_retries=3, retry_delay=SOON)
def failing():
    raise signals.FAIL(f"attempt {prefect.context.task_run_count}")


@task
def asks():
    count = prefect.context.get("task_run_count", 0)
    if count < 2:
        raise signals.RETRY("again", start_time=prefect.context.get("scheduled_start_time"))
    return count


with Flow("retries") as flow:
    third, no = third_time(), never()
    key, value = only_some("key"), only_some("value")
    fails, asked = failing(), asks()
show("ran", flow.run(), third=third, no=no, key=key, value=value, fails=fails, asked=asked)
show("states", states)


@task(max_retries=1, retry_delay=SOON)
def second_time(x):
    if x == 2 and prefect.context.task_run_count == 1:
        raise ValueError("two")
    return [x, prefect.context.task_run_count, prefect.context.map_index]


with Flow("mapped") as flow:
    tried = second_time.map([1, 2, 3])
show("mapped", flow.run(), tried=tried)
refused("delay without retries", lambda: task(lambda: 1, retry_delay=SOON))
refused("retries without delay", lambda: task(lambda: 1, max_retries=2))
refused("retry_on without retries", lambda: task(lambda: 1, retry_on=ValueError))
refused("zero retries with delay", lambda: task(lambda: 1, max_retries=0, retry_delay=SOON))
