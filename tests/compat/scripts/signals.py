"""Each signal, in a task, with and without a result."""

import prefect
from prefect import Flow, task
from prefect.engine import signals, state
from seen import show

SIGNALS = {
    "SUCCESS": signals.SUCCESS,
    "FAIL": signals.FAIL,
    "SKIP": signals.SKIP,
    "TRIGGERFAIL": signals.TRIGGERFAIL,
    "VALIDATIONFAIL": signals.VALIDATIONFAIL,
}
for name, signal in SIGNALS.items():
    for result in (None, 5):
        given = {} if result is None else {"result": result}

        @task(name="raises")
        def raises():
            raise signal("why", **given)

        with Flow(name) as flow:
            raised = raises()
            after = task(lambda x: x, name="after")(raised)
        ended = flow.run()
        show(f"{name} {result}", ended, after=after)
        told = ended.result[raised]
        show(
            f"{name} {result}, itself",
            [type(told).__name__, told.message, told.result if result else None],
        )


@task
def ends(kind):
    if kind == "returned state":
        return state.Failed("given back", result=3)
    if kind == "returned success":
        return state.Success("given back", result=3)
    if kind == "ENDRUN":
        raise prefect.engine.runner.ENDRUN(state=state.Success("ended", result=4))
    if kind == "no message":
        raise signals.FAIL
    if kind == "exception":
        raise KeyError("lost")
    if kind == "no words":
        raise ValueError
    return None


KINDS = ["returned state", "returned success", "no message", "exception", "no words", "nothing"]
with Flow("ends") as flow:
    made = {kind: ends(kind) for kind in KINDS}
ended = flow.run()
show("ends", ended, **{kind: one for kind, one in made.items() if kind != "no message"})
show(
    "states of signals",
    {name: type(signal("x").state).__name__ for name, signal in SIGNALS.items()},
)
show(
    "signal_from_state",
    type(signals.signal_from_state(state.Failed("x"))).__name__
    if hasattr(signals, "signal_from_state")
    else None,
)
show(
    "is an exception",
    [issubclass(signals.PrefectStateSignal, Exception), str(signals.FAIL("words"))],
)
