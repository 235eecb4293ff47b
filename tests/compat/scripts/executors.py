"""Each executor gives the same."""

import datetime

import prefect
from prefect import Flow, Parameter, task
from prefect.executors import DaskExecutor, Executor, LocalDaskExecutor, LocalExecutor
from seen import refused, show


@task
def numbers(n):
    return list(range(n))


@task
def square(x):
    return x * x


@task
def fails(x):
    if x == 1:
        raise ValueError("one")
    return x


@task
def total(values):
    return sum(values)


@task(max_retries=1, retry_delay=datetime.timedelta(0))
def second():
    if prefect.context.task_run_count == 1:
        raise ValueError("first")
    return prefect.context.task_run_count


with Flow("executors") as flow:
    n = Parameter("n", default=4)
    squares = square.map(numbers(n))
    summed = total(squares)
    failed = fails.map(numbers(3))
    twice = second()
EXECUTORS = {
    "local": LocalExecutor(),
    "threads": LocalDaskExecutor(num_workers=2),
    "threads by name": LocalDaskExecutor(scheduler="threads"),
    "sync": LocalDaskExecutor(scheduler="sync"),
    "synchronous": LocalDaskExecutor(scheduler="synchronous"),
}
if __name__ == "__main__":
    for name, executor in EXECUTORS.items():
        show(
            name,
            flow.run(executor=executor),
            squares=squares,
            summed=summed,
            failed=failed,
            twice=twice,
        )
    flow.executor = LocalDaskExecutor(num_workers=2)
    show("of the flow", flow.run(n=2), summed=summed)
    refused("unknown scheduler", lambda: LocalDaskExecutor(scheduler="cluster"))
    refused("address and class", lambda: DaskExecutor(address="tcp://x", cluster_class="y"))
    refused("no executor", lambda: flow.run(executor=5))
    show(
        "kinds",
        [issubclass(kind, Executor) for kind in (LocalExecutor, LocalDaskExecutor, DaskExecutor)],
    )
