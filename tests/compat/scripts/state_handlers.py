"""State handlers of tasks and flows: the order, changes, signals, failures, on_failure."""

import datetime

import prefect
from prefect import Flow, task
from prefect.engine import signals
from prefect.engine.state import Failed, Retrying, Skipped, Success
from prefect.utilities.notifications import callback_factory
from seen import show

seen = []


def note(obj, old, new):
    seen.append(f"{obj.name}: {type(old).__name__} > {type(new).__name__}")


def second(obj, old, new):
    seen.append(f"second {type(new).__name__}")
    return new


def failed(obj, state):
    seen.append(f"on_failure {obj.name} {type(state).__name__}")


def take():
    got = list(seen)
    seen.clear()
    return got


@task(state_handlers=[note, second])
def fine():
    return 1


@task(on_failure=failed, state_handlers=[note], max_retries=1, retry_delay=datetime.timedelta(0))
def broken():
    raise ValueError("broken")


with Flow("handlers", state_handlers=[note], on_failure=failed) as flow:
    ok = fine()
    bad = broken(upstream_tasks=[ok])
    triggered = task(lambda: 1, name="after", on_failure=failed, state_handlers=[note])(
        upstream_tasks=[bad]
    )
show("ran", flow.run(), ok=ok, bad=bad, triggered=triggered)
show("order", take())


def to_skipped(obj, old, new):
    return Skipped("changed", result=7) if new.is_successful() and not new.is_skipped() else new


def to_success(obj, old, new):
    return Success("saved", result="default") if new.is_failed() else new


def to_failed(obj, old, new):
    return Failed("refused") if new.is_running() else new


def raises(obj, old, new):
    raise ZeroDivisionError("in the handler")


def signals_skip(obj, old, new):
    if new.is_running():
        raise signals.SKIP("by the handler")
    return new


def at_pending(obj, old, new):
    if old.is_pending():
        return Success("at once", result="early")
    return new


def no_retry(obj, old, new):
    seen.append(type(new).__name__)
    return Failed("not again") if isinstance(new, Retrying) else new


def finished_raises(obj, old, new):
    if new.is_finished():
        raise signals.FAIL("too late")
    return new


with Flow("changing") as flow:
    made = {}
    for handler in (
        to_skipped,
        to_success,
        to_failed,
        raises,
        signals_skip,
        at_pending,
        finished_raises,
    ):
        for body in ("good", "bad"):
            run = (lambda: 1) if body == "good" else (lambda: 1 / 0)
            made[f"{handler.__name__}, {body}"] = task(
                run, name=handler.__name__, state_handlers=[handler]
            )()
state = flow.run()
show("changing", state, **made)


@task(max_retries=3, retry_delay=datetime.timedelta(0), state_handlers=[no_retry])
def once():
    raise ValueError(prefect.context.task_run_count)


with Flow("retrying") as flow:
    only = once()
take()
show("changed Retrying", flow.run(), only=only)
show("changed Retrying, states", take())


with Flow("refusing", state_handlers=[raises]) as flow:
    good = task(lambda: 1, name="good")()
state = flow.run()
show("flow handler raises", type(state).__name__)
with Flow("mapped") as flow:
    many = task(lambda x: x, name="many", state_handlers=[note]).map([1, 2])
take()
show("mapped", flow.run(), many=many)
show("mapped order", take())
told = callback_factory(
    lambda obj, state: seen.append(f"told {obj.name}"), check=lambda state: state.is_successful()
)
with Flow("callback", state_handlers=[told]) as flow:
    good = task(lambda: 1, name="good", state_handlers=[told])()
flow.run()
show("callback_factory", take())
