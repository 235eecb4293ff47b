"""The graph before a run: imperative API, chain, copies, order, roots and ends, cycles."""

from prefect import Flow, Parameter, Task
from prefect.core import Edge
from seen import refused, show


class Named(Task):
    def run(self, x=0, y=0):
        return [self.name, x, y]


def names(tasks):
    return [t.name for t in tasks]


flow = Flow("imperative")
a, b, c, d = (Named(name=n) for n in "abcd")
flow.add_task(d)
flow.add_edge(a, b, key="x")
flow.add_edge(upstream_task=b, downstream_task=c)
flow.set_dependencies(d, upstream_tasks=[c], keyword_tasks={"y": a}, downstream_tasks=[])
show("ran", flow.run(), a=a, b=b, c=c, d=d)
show("order", names(flow.sorted_tasks()))
show("order from b", names(flow.sorted_tasks(root_tasks=[b])))
show(
    "roots", [names(flow.root_tasks()), names(flow.terminal_tasks()), names(flow.reference_tasks())]
)
show(
    "upstream of d",
    [sorted(names(flow.upstream_tasks(d))), names(flow.downstream_tasks(a) if False else [])],
)
show("downstream of a", sorted(names(flow.downstream_tasks(a))))
show("edges to d", sorted([e.upstream_task.name, str(e.key), e.mapped] for e in flow.edges_to(d)))
show("edges from a", sorted([e.downstream_task.name, str(e.key)] for e in flow.edges_from(a)))
show(
    "all upstream",
    {
        t.name: sorted(names(s.upstream_task for s in es))
        for t, es in flow.all_upstream_edges().items()
    },
)
show(
    "all downstream",
    {
        t.name: sorted(names(s.downstream_task for s in es))
        for t, es in flow.all_downstream_edges().items()
    },
)
refused("cycle", lambda: flow.add_edge(d, a, validate=True))
flow = Flow("cycle")
flow.add_edge(a, b)
flow.add_edge(b, a)
refused("cycle, validated later", flow.validate)
refused("cycle, run", flow.run)
refused("itself", lambda: Flow("one", edges=[Edge(a, a)]).validate())
refused("no such argument", lambda: Flow("key").add_edge(a, b, key="z", validate=True))
refused("reference of another", lambda: Flow("r", tasks=[a]).set_reference_tasks([b]))
refused("no name", lambda: Flow(""))
refused("task that is none", lambda: Flow("x").add_task(5))

flow = Flow("chained")
flow.chain(a, b, c)
show("chain", [names(flow.sorted_tasks()), len(flow.edges)])
with Flow("set") as flow:
    one, two, three, four = (Named(name=str(i)) for i in range(4))
    one.set_upstream(two)
    three.set_downstream(two)
    two.set_dependencies(keyword_tasks={"x": four})
    one | Named(name="piped")
show("set", sorted(names(flow.tasks)))
show("ran set", flow.run(), one=one, two=two)
copied = flow.copy()
copied.add_task(Named(name="more"))
show(
    "copied", [len(flow.tasks), len(copied.tasks), copied.name, copied == flow, flow.copy() == flow]
)
other = Flow("other", tasks=[Named(name="theirs")])
other.update(copied)
show("updated", [len(other.tasks), len(other.edges)])
show(
    "get_tasks",
    [
        names(other.get_tasks(name="more")),
        len(other.get_tasks(tags=["none"])),
        sorted(names(other.get_tasks(task_type=Named))),
    ],
)
with Flow("replace") as flow:
    old = Named(name="old")
    after = Named(name="after")(x=old)
new = Named(name="new")
flow.replace(old, new)
show("replaced", names(flow.sorted_tasks()))
show("ran replaced", flow.run(), new=new, after=after)
show("contains", [new in flow.tasks, old in flow.tasks])
with Flow("bound") as flow:
    bound = Named(name="bound")
    result = bound.bind(x=1, y=Parameter("p", default=2))
    copy = bound.copy(name="renamed")(x=bound)
show(
    "bound",
    [result is bound, flow.run().result[bound].result, copy.name, flow.run().result[copy].result],
)
show("copy", [bound.copy() == bound, bound.copy().name, Named(name="s", slug="s").copy().slug])
refused("outside a flow", lambda: Named().set_upstream(Named()))
refused("binding outside a flow", lambda: Named().bind(x=1))
show("attributes", [flow.name, flow.schedule])
show(
    "edge equal",
    [Edge(a, b) == Edge(a, b), Edge(a, b) == Edge(a, c), len({Edge(a, b), Edge(a, b)})],
)
