"""flow.run: its state, results, task_states, context, and what it raises."""

import prefect
from prefect import Flow, Parameter, task
from prefect.engine.state import Failed, Pending, Success
from seen import refused, show

seen = []


@task
def load():
    seen.append("load")
    return [1, 2]


@task
def total(values):
    return sum(values)


with Flow("run") as flow:
    loaded = load()
    result = total(loaded)
state = flow.run()
show("ran", state, loaded=loaded, result=result)
show(
    "state",
    [
        state.is_successful(),
        state.is_finished(),
        state.is_failed(),
        state.is_running(),
        state.is_pending(),
        state.is_skipped(),
        state.is_mapped(),
    ],
)
show("results", sorted(t.name for t in state.result))
show(
    "result of a task",
    [
        type(state.result[result]).__name__,
        state.result[result].result,
        state.result[result].is_successful(),
    ],
)
seen.clear()
state = flow.run(task_states={loaded: Success("known", result=[5])})
show("known", state, loaded=loaded, result=result)
show("known was not run", seen)
state = flow.run(task_states={loaded: Failed("known")})
show("known to have failed", state, loaded=loaded, result=result)
show("a finished flow", type(flow.run(state=Success("already"))).__name__)
show("a failed flow", type(flow.run(state=Failed("already"))).__name__)
show("a pending flow", type(flow.run(state=Pending("now"))).__name__)


@task
def look():
    context = prefect.context
    return [
        context.get("mine"),
        context.flow_name,
        context.task_name,
        context.task_full_name,
        context.get("task_run_count"),
        context.get("map_index"),
        sorted(context.get("parameters") or {}),
        len(context.today),
        len(context.today_nodash),
        len(context.tomorrow) - len(context.yesterday),
        context.get("flow_run_id") is not None,
        context.get("task_slug") is not None,
        type(context.scheduled_start_time).__name__ in ("DateTime", "datetime"),
    ]


with Flow("context") as flow:
    Parameter("a", default=1)(flow=flow) if False else flow.add_task(Parameter("a", default=1))
    looked = look()
show("context", flow.run(context={"mine": "here"}), looked=looked)
with prefect.context(mine="around"):
    show("context around", flow.run(), looked=looked)
show("context afterwards", [prefect.context.get("mine"), "mine" in prefect.context])
with prefect.context({"x": 1}, y=2) as inside:
    show("context inside", [prefect.context.x, prefect.context.get("y"), inside["x"]])
refused("unknown argument", lambda: flow.run(b=2))
refused("attribute that is not there", lambda: prefect.context.nothing_like_it)
with Flow("exit") as flow:

    @task
    def exits():
        raise SystemExit("out")

    gone = task(lambda: 1, name="fine")()
show("fine", flow.run(), gone=gone)
