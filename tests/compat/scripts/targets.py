"""Targets and templates of places: what is there is used and not run."""

import pathlib
import tempfile

from prefect import Flow, Parameter, task
from prefect.engine.results import LocalResult
from prefect.engine.serializers import JSONSerializer
from seen import show

folder = tempfile.mkdtemp()
kept = LocalResult(dir=folder, serializer=JSONSerializer())
calls = []


@task(target="{month}-{task_name}.json", result=kept)
def load(month):
    calls.append(month)
    return {"month": month}


@task(target=lambda **context: f"by/function/{context['x']}.json", result=kept)
def double(x):
    calls.append(x)
    return 2 * x


@task(target="{map_index}.json", result=kept)
def each(x):
    calls.append(x)
    return x


@task(result=LocalResult(dir=folder, location="{flow_name}/{parameters[month]}.prefect"))
def placed(x):
    return x


with Flow("targets") as flow:
    month = Parameter("month", default="2022-01")
    loaded = load(month)
    doubled = double(21)
    mapped = each.map([7, 8])
    put = placed(loaded)

show("first", flow.run(), loaded=loaded, doubled=doubled, mapped=mapped, put=put)
show("second", flow.run(), loaded=loaded, doubled=doubled, mapped=mapped)
show("other month", flow.run(month="2022-02"), loaded=loaded)
show("calls", sorted(calls, key=str))
root = pathlib.Path(folder)
show("files", sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()))
show("text", (root / "2022-01-load.json").read_text())
(root / "2022-03-load.json").write_text('{"month": "by hand"}')
state = flow.run(month="2022-03")
show("by hand", state, loaded=loaded)
