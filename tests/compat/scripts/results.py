"""Results: exists, read, write, format, and each serializer there and back."""

import datetime
import pathlib
import tempfile

from prefect import Flow, task
from prefect.engine.results import ConstantResult, LocalResult, PrefectResult
from prefect.engine.serializers import (
    CompressedSerializer,
    DateTimeSerializer,
    JSONSerializer,
    PickleSerializer,
)
from seen import refused, show

folder = tempfile.mkdtemp()
plain = LocalResult(dir=folder, location="{name}.prefect")
written = plain.write([1, 2], name="numbers")
show(
    "written",
    [
        written.value,
        pathlib.Path(written.location).name,
        written.exists("numbers.prefect"),
        plain.exists("{name}.prefect", name="none"),
    ],
)
show("read", [plain.read("numbers.prefect").value, plain.value])
show("formatted", pathlib.Path(plain.format(name="x").location).name)
refused("read what is not there", lambda: plain.read("none.prefect"))
for name, value in {"json": {"a": [1, None]}, "text": "ü"}.items():
    show(
        f"JSON {name}",
        [
            JSONSerializer().serialize(value).decode(),
            JSONSerializer().deserialize(JSONSerializer().serialize(value)),
        ],
    )
show("pickle", PickleSerializer().deserialize(PickleSerializer().serialize({1, 2})))
squeezed = CompressedSerializer(PickleSerializer(), format="gzip")
show("compressed", squeezed.deserialize(squeezed.serialize("fares" * 9)))
moment = datetime.datetime(2022, 1, 2, 3, tzinfo=datetime.timezone.utc)
show(
    "datetime",
    [
        DateTimeSerializer().serialize(moment).decode(),
        DateTimeSerializer().deserialize(DateTimeSerializer().serialize(moment)).isoformat(),
    ],
)
refused("bad compression", lambda: CompressedSerializer(PickleSerializer(), format="brotli"))
show("equal", [JSONSerializer() == JSONSerializer(), JSONSerializer() == PickleSerializer()])
constant = ConstantResult(value=4)
show("constant", [constant.read("").value, constant.exists("x")])
refused("constant is not written", lambda: constant.write(5))
own = PrefectResult().write({"a": 1})
show(
    "prefect",
    [
        own.location,
        PrefectResult().read(own.location).value,
        PrefectResult().exists("{"),
        PrefectResult().exists("1"),
    ],
)


@task(result=PrefectResult())
def small():
    return {"fare": 3}


@task(checkpoint=False, result=LocalResult(dir=folder))
def unkept():
    return 1


@task
def default():
    return 2


with Flow("results", result=LocalResult(dir=folder, location="{task_name}.pickle")) as flow:
    one, two, three = small(), unkept(), default()
state = flow.run()
show("ran", state, one=one, two=two, three=three)
