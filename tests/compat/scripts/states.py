"""The tree of states and their questions."""

import datetime

from prefect.engine import state
from prefect.engine.state import State
from seen import show

KINDS = [
    "Pending",
    "Scheduled",
    "Resume",
    "Retrying",
    "Paused",
    "Submitted",
    "Queued",
    "ClientFailed",
    "Running",
    "Cancelling",
    "Finished",
    "Success",
    "Cached",
    "Mapped",
    "Skipped",
    "Failed",
    "TimedOut",
    "TriggerFailed",
    "ValidationFailed",
    "Looped",
    "Cancelled",
]
ASKS = [
    "is_pending",
    "is_queued",
    "is_retrying",
    "is_running",
    "is_finished",
    "is_looped",
    "is_skipped",
    "is_scheduled",
    "is_submitted",
    "is_successful",
    "is_failed",
    "is_mapped",
    "is_meta_state",
]
for kind in KINDS:
    made = getattr(state, kind)("words")
    show(
        kind,
        [
            made.message,
            [ask for ask in ASKS if getattr(made, ask)()],
            [
                c.__name__
                for c in type(made).__mro__
                if c.__name__ not in ("object", "State")
                and c.__name__ != "_MetaState"
                and hasattr(state, c.__name__)
            ],
            made.color,
        ],
    )
show("children", sorted(c.__name__ for c in State.children(include_self=False)))
show("parents", sorted(c.__name__ for c in state.Retrying.parents()))
show(
    "equal",
    [
        state.Success("a", result=1) == state.Success("b", result=1),
        state.Success(result=1) == state.Success(result=2),
        state.Success() == state.Failed(),
    ],
)
show("repr", [repr(state.Success("words")), repr(state.Failed())])
show(
    "children of mapped",
    [c.result for c in state.Mapped(map_states=[state.Success(result=1)]).map_states],
)
show(
    "mapped result",
    state.Mapped(map_states=[state.Success(result=1), state.Success(result=2)]).result,
)
now = datetime.datetime(2022, 1, 1, tzinfo=datetime.timezone.utc)
show(
    "scheduled",
    [
        state.Scheduled(start_time=now).start_time.isoformat(),
        state.Retrying(start_time=now, run_count=2).run_count,
        state.Looped(loop_count=3).loop_count,
    ],
)
show("context", state.Success(context={"tags": ["a"]}).context)
show("message is an exception", str(state.Failed(ValueError("x")).message))
show("result of failed", state.Failed("x").result)
show("defaults", {kind: getattr(state, kind)().result is None for kind in KINDS})
