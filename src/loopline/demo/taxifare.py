"""Running the taxi-fare example month by month, in a home of its own, to its story."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.backend.recorder import get_recorder, set_tracking_uri
from loopline.demo.endings import say_alarm, say_served
from loopline.demo.incident import force_and_roll_back
from loopline.demo.live import LiveModel, make_trips
from loopline.demo.story import MonthLine, Story, draw_picture, sum_up
from loopline.demo.watched import WatchedExecutor
from loopline.errors import MissingExtraError, NotFoundError
from loopline.flows.shipping.register import register_flow
from loopline.registry import list_models
from loopline.tracking import fluent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopline.demo.data_source import Months
    from loopline.demo.incident import Incident
    from loopline.demo.live import Served, Trip

__all__ = ["INCIDENT_STEPS", "STEPS", "check_extras", "make_demo_home", "run_taxifare"]

#: Tasks of a month's flow run, in the order they run, and what a person sees meanwhile.
STEPS = {
    "evaluate_production": "scoring the Production model",
    "watch_drift": "looking for drift",
    "sound_alarm": "judging the drift",
    "train_challenger": "training a challenger",
    "compare": "comparing the two",
    "promote_if_better": "deciding",
    "notify": "telling",
}

#: What happens after the last month, and what a person sees meanwhile.
INCIDENT_STEPS = {"forced": "forcing a bad model in", "rolled back": "rolling it back"}

#: Of a month's trips, so many are asked about while the model is served.
TRIPS_ASKED = 500

DEMO_FOLDER = ".loopline-demo"
MODEL_NAME = "taxifare_model"
PROJECT = "wagoncab project"


def check_extras(model: str, *, in_warehouse: bool = False) -> None:
    """Check, before any work, that what the demo needs is installed.

    Raises:
        MissingExtraError: It is not; the message says how to get it.
    """
    needed = [(name, "demo") for name in ("numpy", "pandas", "pyarrow", "sklearn", "skops")]
    if model == "keras":
        needed.append(("keras", "keras"))
    if in_warehouse:
        needed.append(("duckdb", "duckdb"))
    for module, extra in needed:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(module, extra=extra, purpose="The taxi demo")


def make_demo_home(given: Path | None) -> tuple[Path, Path]:
    """Choose where the demo records, and where its picture goes.

    Without a wish, each run of the demo gets a folder of its own, ``.loopline-demo/1``, ``2``, …:
    the story then begins with no model, as it should; nothing of the user's own home is touched,
    whatever ``LOOPLINE_URI`` says; and older stories can still be looked at, from inside their
    folders, where every command finds their home.

    Returns:
        The home and the folder of the picture.
    """
    if given is not None:
        home = given.expanduser().resolve()
        home.mkdir(parents=True, exist_ok=True)
        return home, home
    parent = Path.cwd() / DEMO_FOLDER
    parent.mkdir(exist_ok=True)
    number = 1 + max((int(f.name) for f in parent.iterdir() if f.name.isdecimal()), default=0)
    while True:
        try:
            (parent / str(number)).mkdir()
            break
        except FileExistsError:  # Another demo began at the same moment.
            number += 1
    home = parent / str(number) / ".loopline"
    home.mkdir()
    return home, home.parent


def run_taxifare(
    data: Months,
    *,
    home: Path,
    pictures: Path,
    model: str = "sklearn",
    serve: bool = True,
    on_step: Callable[[str, str], None] = lambda _month, _step: None,
    on_month: Callable[[MonthLine], None] = lambda _line: None,
) -> Story:
    """Run the example's flow for each month, and record and draw what came of it.

    Args:
        data: The months of trips.
        home: Where everything is recorded.
        pictures: Folder for the picture.
        model: ``"sklearn"`` or ``"keras"``.
        serve: Serve the model in Production, under a small load, from the first promotion on.
        on_step: Told the month and the task that begins.
        on_month: Told each month's line.

    Raises:
        FlowError: A month's flow run failed; its log says why.
        LooplineError: The serving process did not begin, or did not follow a promotion.
    """
    began = time.monotonic()
    set_tracking_uri(home)
    name = _free_model_name()
    example = _import_example()
    lines: list[MonthLine] = []
    with contextlib.ExitStack() as stack:
        months = _run_months(example, data, name, model, on_step)
        live = _follow(months, data, name, home if serve else None, stack, lines, on_month)
        incident = force_and_roll_back(
            data.months[-1], model=model, name=name, data=data.address, live=live,
            on_step=on_step,
        )  # fmt: skip
        served = live.stop() if live is not None else None
    story = Story(
        origin=data.origin,
        is_simulated=data.is_simulated,
        model=model,
        model_name=name,
        home=str(home),
        summary=_sum_up(lines, data.origin, served, incident),
        months=lines,
        served=served,
        incident=incident,
    )
    picture = pictures / ("fare-error-simulated.svg" if data.is_simulated else "fare-error.svg")
    picture.write_text(draw_picture(story), encoding="utf-8")
    run_id = _record(story, picture)
    # So that a worker can run a month again, and the pages have a flow to show.
    register_flow(example.build_flow(), PROJECT, uri=str(home), no_url=True, say=lambda _line: None)
    get_recorder().flush()
    return msgspec.structs.replace(
        story, run_id=run_id, picture=str(picture), seconds=round(time.monotonic() - began, 1)
    )


def _run_months(
    example: Any,  # noqa: ANN401 - the module of ``_import_example``
    data: Months,
    name: str,
    model: str,
    on_step: Callable[[str, str], None],
) -> Iterator[MonthLine]:
    """Run the months' flows one after the other, and yield each one's line."""
    month = iter(data.months)
    now = [next(month)]
    executor = WatchedExecutor(lambda task: on_step(now[0], task))
    folder = data.address
    for line in example.run_months(model=model, name=name, data=folder, executor=executor):
        yield msgspec.convert(line, MonthLine)
        now[0] = next(month, now[0])


def _follow(
    months: Iterator[MonthLine],
    data: Months,
    name: str,
    home: Path | None,
    stack: contextlib.ExitStack,
    lines: list[MonthLine],
    on_month: Callable[[MonthLine], None],
    say: Callable[[str], None] = print,
) -> LiveModel | None:
    """Go through the months; serve from the first promotion on, and see each next one through.

    Args:
        months: Lines of the months, each of which is run when it is asked for.
        data: The months of trips; riders ask about those of the month that passed.
        name: Of the registered model.
        home: Where it is registered; None: serve nothing.
        stack: Ends the serving process.
        lines: Gets each line.
        on_month: Told each line.
        say: Told in a line when a promoted version answers.
    """
    live = None
    for line in months:
        if home is not None and line.version is not None:
            trips = _trips(line.month, data)
            if live is None:
                # It starts while the next month is worked on.
                live = stack.enter_context(LiveModel(name, home, trips))
            else:
                live.wait_for(line.version)
                live.ask_about(trips)
                if line.promoted:
                    say(f"v{line.version} is live: it answers every rider")
        lines.append(line)
        on_month(line)
    return live


def _trips(month: str, data: Months) -> list[Trip]:
    """Take some trips of a month, always the same."""
    from taxifare.ml_logic.data import chunk_of, load

    folder = data.address
    trips = load(chunk_of(month, folder), folder)
    features = trips.features.sample(min(TRIPS_ASKED, len(trips.features)), random_state=0)
    return make_trips(features, trips.fares.loc[features.index])


def _sum_up(
    lines: list[MonthLine], origin: str, served: Served | None, incident: Incident | None
) -> str:
    parts = [sum_up(lines, origin), say_alarm(lines), say_served(served)]
    if incident is not None:
        parts.append(incident.sentence)
    return " ".join(part for part in parts if part)


def _record(story: Story, picture: Path) -> str:
    """Record the errors over time in a run of their own; return its id."""
    label = f" ({story.origin})" if story.is_simulated else ""
    with fluent.start_run(run_name=f"fare error over time{label}") as run:
        fluent.set_tags({"data.origin": story.origin, "summary": story.summary})
        steps = ", ".join(f"{step}: {line.month}" for step, line in enumerate(story.months))
        fluent.log_params({"model": story.model, "model_name": story.model_name, "steps": steps})
        for step, line in enumerate(story.months):
            if line.production is not None:
                fluent.log_metric("production_rmse", line.production, step=step)
            if line.challenger is not None:
                fluent.log_metric("challenger_rmse", line.challenger, step=step)
        if story.served is not None:
            fluent.log_metric("served_requests", story.served.requests)
            fluent.log_metric("served_failures", story.served.failures)
        fluent.log_artifact(picture)
        return run.info.run_id


def _free_model_name() -> str:
    """Take the model's name, or one with a number when an earlier story has it."""
    taken = {model.name for model in list_models()}
    name, number = MODEL_NAME, 1
    while name in taken:
        number += 1
        name = f"{MODEL_NAME}_{number}"
    return name


def _import_example() -> Any:  # noqa: ANN401 - a module that is not part of this package
    """Import ``taxifare.main``: from the repository, or from where the wheel has it."""
    package = Path(__file__).parents[1]
    for folder in (package / "_examples", package.parents[1] / "examples"):
        if (folder / "taxifare" / "main.py").is_file():
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
            return importlib.import_module("taxifare.main")
    msg = (
        "The example taxifare is not installed with this copy of Loopline. Install the wheel "
        "again, or run the demo from a clone of the repository."
    )
    raise NotFoundError(msg)
