"""Resource managers whose body, setup or cleanup fails; one in another, in a case."""

from prefect import Flow, Parameter, case, resource_manager, task
from seen import show

log = []


@resource_manager
class Cluster:
    def __init__(self, n, fail=""):
        self.n, self.fail = n, fail

    def setup(self):
        log.append(f"setup {self.n}")
        if self.fail == "setup":
            raise ValueError("no setup")
        return {"n": self.n}

    def cleanup(self, client):
        log.append(f"cleanup {client}")
        if self.fail == "cleanup":
            raise ValueError("no cleanup")


@task
def use(client, bad=False):
    if bad:
        raise RuntimeError("body")
    return client["n"]


@task
def after(x):
    return x


@task
def no_client():
    return 1


for bad, fail in ((False, ""), (True, ""), (False, "setup"), (False, "cleanup"), (True, "cleanup")):
    log.clear()
    with Flow("resources") as flow:
        with Cluster(3, fail) as client:
            a = use(client)
            b = use(client, bad)
            c = after(b)
            d = no_client()
        e = after(a)
    cleanup = next(each for each in flow.tasks if "cleanup" in each.name)
    name = f"body {'fails' if bad else 'works'}, {fail or 'nothing'} fails"
    show(name, flow.run(), client=client, a=a, b=b, c=c, d=d, e=e, cleanup=cleanup)
    show(f"log: {name}", list(log))

log.clear()
with Flow("nested") as flow:
    which = Parameter("which", default=False)
    with case(which, True), Cluster(1) as outer, Cluster(outer["n"]) as inner:
        used = use(inner)
show("left out", flow.run(), used=used)
show("log: left out", list(log))
show("nested", flow.run(which=True), used=used)
show("log: nested", list(log))
