"""What may be a task: functions, methods, partials, classes with defaults, async-free bodies."""

import functools

from prefect import Flow, Task, task
from prefect.tasks.core.function import FunctionTask
from prefect.utilities.tasks import defaults_from_attrs
from seen import refused, show


def scale(x, by=2):
    return x * by


class Model:
    def __init__(self, slope):
        self.slope = slope

    def predict(self, x):
        return self.slope * x


class Fit(Task):
    def __init__(self, rate=0.1, rounds=10, **kwargs):
        self.rate, self.rounds = rate, rounds
        super().__init__(**kwargs)

    @defaults_from_attrs("rate", "rounds")
    def run(self, rate=None, rounds=None):
        return [rate, rounds]


with Flow("callables") as flow:
    made = {
        "function": task(scale)(3),
        "by": FunctionTask(scale, name="scaled")(3, by=5),
        "method": task(Model(3).predict)(2),
        "lambda": task(lambda x: x + 1, name="next")(1),
        "partial": task(functools.partial(scale, by=4), name="partial")(2),
        "class": Fit()(),
        "class, given": Fit(rate=0.5)(rounds=3),
        "keyword only": task(lambda *, a: a, name="keyword")(a=4),
        "default": task(lambda x=7: x, name="default")(),
        "extra keywords": task(lambda **values: sorted(values), name="extra")(b=1, a=2),
    }
show("ran", flow.run(), **made)
show("names", {key: made[key].name for key in ("function", "by", "lambda", "class")})
refused("a name that is no text", lambda: Flow(5).run())
refused("a task of what cannot be called", lambda: task(5))
refused("too many arguments", lambda: Flow("x") and task(scale)(1, 2, 3, flow=Flow("x")))
refused("argument given twice", lambda: task(scale)(1, x=2, flow=Flow("x")))
refused("an argument named as an option", lambda: task(lambda upstream_tasks: 1))
refused("a built-in function without a signature", lambda: task(max))
