"""Task subclasses: arguments of the constructor, attributes as defaults, names, calls."""

from prefect import Flow, Task, task
from prefect.utilities.tasks import defaults_from_attrs
from seen import refused, show


class Fare(Task):
    def __init__(self, base=3.0, **kwargs):
        self.base = base
        super().__init__(**kwargs)

    @defaults_from_attrs("base")
    def run(self, distance, base=None):
        return base + 2.0 * distance


with Flow("fares") as flow:
    fare = Fare(name="fare", tags=["money"])
    one = fare(1.0)
    two = fare(2.0, base=0.5)
    three = Fare(base=1.0)(distance=3.0)

show("ran", flow.run(), one=one, two=two, three=three)
show("names", [fare.name, one.name, Fare().name])
show("slugs", sorted(flow.slugs.values()))
show("tags", [sorted(one.tags), sorted(Fare().tags)])


@task(name="greet")
def hello(name: str) -> str:
    """Says hello."""
    return f"hello {name}"


show("run outside a flow", hello.run("Ada"))
show("kept docs", [hello.__name__, hello.__doc__])
refused("call outside a flow", lambda: hello("Ada"))
refused("star arguments", lambda: task(lambda *names: names))
refused("bad retries", lambda: Task(max_retries=1))
refused("negative name", lambda: task(lambda x: x, retry_delay=1))


def missing():
    with Flow("missing"):
        hello()


refused("missing argument", missing)


def unknown():
    with Flow("unknown"):
        hello("a", title="b")


refused("unknown argument", unknown)


class NotCalled(Task):
    """Has no run."""


with Flow("empty") as empty:
    nothing = NotCalled()()
show("no run method", empty.run(), nothing=nothing)
