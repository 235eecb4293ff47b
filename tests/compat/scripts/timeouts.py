"""Timeouts: the state, retries after one, bad values."""

import datetime
import time

import prefect
from prefect import Flow, task
from prefect.triggers import all_failed
from seen import refused, show


@task(timeout=1)
def slow():
    time.sleep(30)


@task(timeout=20)
def quick():
    return 1


@task(timeout=1, max_retries=1, retry_delay=datetime.timedelta(0))
def once_slow():
    if prefect.context.task_run_count == 1:
        time.sleep(30)
    return prefect.context.task_run_count


@task(trigger=all_failed)
def after(x):
    return x is not None


with Flow("timeouts") as flow:
    late, fast, twice = slow(), quick(), once_slow()
    then = after(late)
state = flow.run()
show("ran", state, late=late, fast=fast, twice=twice, then=then)
refused("not a whole number", lambda: task(lambda: 1, timeout=0.5))
show("timedelta", task(lambda: 1, timeout=datetime.timedelta(seconds=3)).timeout)
