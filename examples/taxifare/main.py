"""Runs the months one after the other, as if each had just come: ``python -m taxifare.main``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import FlowError
from taxifare import params
from taxifare.flow import build_flow
from taxifare.ml_logic.data import chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["run_months"]


def run_months(
    *,
    model: str = params.MODEL,
    name: str = params.MODEL_NAME,
    data: str | None = None,
    executor: Any = None,  # noqa: ANN401 - any executor of loopline.executors
) -> Iterator[dict[str, Any]]:
    """Run the flow for each month, and yield its line of the story.

    Raises:
        FlowError: A month's flow run failed.
    """
    for chunk in chunks(data):
        flow = build_flow()
        given = {"month": chunk.month, "model": model, "name": name, "data": data}
        state = flow.run(parameters=given, executor=executor)
        if not state.is_successful():
            msg = f"The flow run of {chunk.month} failed: {state.message} Its log says why."
            raise FlowError(msg)
        (last,) = flow.get_tasks(name="notify")
        yield state.result[last].result


if __name__ == "__main__":
    for line in run_months():
        print(f"{line['month']}: v{line['version']} is in Production")
