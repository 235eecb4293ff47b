"""resource_manager: set up, cleaned up, and what fails in between."""

from prefect import Flow, Parameter, resource_manager, task
from seen import refused, show

seen = []


@resource_manager
class Cluster:
    def __init__(self, size, breaks=""):
        self.size = size
        self.breaks = breaks

    def setup(self):
        seen.append("setup")
        if self.breaks == "setup":
            raise ValueError("no cluster")
        return f"cluster of {self.size}"

    def cleanup(self, cluster):
        seen.append(f"cleanup {cluster}")
        if self.breaks == "cleanup":
            raise ValueError("not cleaned")


@task
def use(cluster, fails=False):
    seen.append(f"use {cluster}")
    if fails:
        raise ValueError("failed")
    return cluster


@task
def alone():
    return 1


@resource_manager(name="renamed")
class Other:
    def setup(self):
        return 1

    def cleanup(self, resource):
        pass


with Flow("resources") as flow:
    breaks, fails = Parameter("breaks", default=""), Parameter("fails", default=False)
    with Cluster(3, breaks=breaks) as cluster:
        used = use(cluster, fails)
        other = alone()
    after = use("after", upstream_tasks=[used])
for given in ({}, {"fails": True}, {"breaks": "setup"}, {"breaks": "cleanup"}):
    seen.clear()
    show(f"ran {given}", flow.run(**given), cluster=cluster, used=used, other=other, after=after)
    show(f"seen {given}", sorted(seen))
show("names", sorted(t.name for t in flow.tasks))
show("reference tasks", sorted(t.name for t in flow.reference_tasks()))
show("cleanup", sorted(t.name for t in flow.terminal_tasks()))
with Flow("other") as flow:
    with Other() as resource:
        use(resource)
show("renamed", sorted(t.name for t in flow.tasks))
refused("no setup", lambda: resource_manager(type("Nothing", (), {})))
