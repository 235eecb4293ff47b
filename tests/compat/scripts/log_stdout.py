"""log_stdout and the logger of the context."""

import contextlib
import io
import logging

import prefect
import prefect.utilities.logging
from prefect import Flow, task
from seen import show


@task(log_stdout=True)
def speak():
    print("aloud")
    return 1


@task
def log():
    prefect.context.get("logger").info("logged")
    return prefect.context.logger.name


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.kept = []

    def emit(self, record):
        if record.getMessage() in {"aloud", "logged"}:
            self.kept.append([record.getMessage(), record.levelname, record.name])


with Flow("words") as flow:
    spoken, logged = speak(), log()

kept = Kept()
logger = prefect.utilities.logging.get_logger()
logger.setLevel(logging.INFO)
logger.addHandler(kept)
out = io.StringIO()
with contextlib.redirect_stdout(out):
    state = flow.run()
logger.removeHandler(kept)
show("ran", state, spoken=spoken, logged=logged)
show("kept", kept.kept)
show("printed", "aloud\n" in out.getvalue().splitlines())
