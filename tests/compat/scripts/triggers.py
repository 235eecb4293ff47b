"""Each trigger, over each mixture of states upstream."""

from prefect import Flow, task, triggers
from prefect.engine import signals
from seen import show


@task
def good():
    return 1


@task
def bad():
    raise ValueError("bad")


@task
def skipped():
    raise signals.SKIP("not now")


TRIGGERS = {
    "all_successful": triggers.all_successful,
    "all_failed": triggers.all_failed,
    "any_successful": triggers.any_successful,
    "any_failed": triggers.any_failed,
    "all_finished": triggers.all_finished,
    "always_run": triggers.always_run,
    "not_all_skipped": triggers.not_all_skipped,
    "some_failed one": triggers.some_failed(at_least=1),
    "some_failed half": triggers.some_failed(at_least=0.5),
    "some_failed most one": triggers.some_failed(at_most=1),
    "some_successful two": triggers.some_successful(at_least=2),
    "some_successful share": triggers.some_successful(at_least=0.3, at_most=0.9),
}
MIXES = {
    "none": [],
    "good": [good],
    "bad": [bad],
    "skipped": [skipped],
    "good bad": [good, bad],
    "good skipped": [good, skipped],
    "bad skipped": [bad, skipped],
    "all": [good, bad, skipped],
    "two good": [good, good],
    "two bad": [bad, bad],
    "two skipped": [skipped, skipped],
}

for name, trigger in TRIGGERS.items():
    for skips in (True, False):
        seen = {}
        for mix, tasks in MIXES.items():
            with Flow(mix) as flow:
                run = task(lambda: "ran", name="last", trigger=trigger, skip_on_upstream_skip=skips)
                last = run(upstream_tasks=[one() for one in tasks])
            state = flow.run()
            seen[mix] = [type(state).__name__, type(state.result[last]).__name__]
        show(f"{name}{'' if skips else ', does not skip'}", seen)


def own(upstream_states):
    if len(upstream_states) < 2:
        raise signals.TRIGGERFAIL("too few")
    return True


for count in (1, 2):
    with Flow("own") as flow:
        last = task(lambda: "ran", name="last", trigger=own)(
            upstream_tasks=[good() for _ in range(count)]
        )
    state = flow.run()
    show(f"own trigger {count}", [type(state.result[last]).__name__])
with Flow("false") as flow:
    last = task(lambda: "ran", name="last", trigger=lambda states: False)()
state = flow.run()
show("trigger that says False", [type(state.result[last]).__name__])
with Flow("raises") as flow:
    last = task(lambda: "ran", name="last", trigger=lambda states: 1 / 0)()
state = flow.run()
show("trigger that raises", [type(state.result[last]).__name__])
