"""Records of preprocessing: which function or steps made the model's inputs."""

from __future__ import annotations

from loopline.records.base import Record

__all__ = ["Preprocessing", "PreprocessingStep"]


class PreprocessingStep(Record, frozen=True, kw_only=True):
    """A step of a pipeline, or a preprocessing layer of a network.

    Attributes:
        kind: Name of its class, such as ``"StandardScaler"``.
        path: Where it stands, as ``"preprocess.distance"``; its own name for a layer.
        params: Its parameters as text.
        digest: SHA-256 of its class's source when it is the user's own; empty for a library's.
    """

    kind: str
    path: str = ""
    params: dict[str, str] = {}
    digest: str = ""


class Preprocessing(Record, frozen=True, kw_only=True):
    """One piece of preprocessing: a function, or an object made of steps.

    Attributes:
        name: Of the function, as it is defined; of the object, its class.
        digest: SHA-256 in hex. For a function it is that of its source, without decorators and
            the indentation around it; for steps, that of their classes and parameters in order.
            Names of steps and what was learned from data do not count.
        module: Where the function or class is defined.
        source: The function's source; empty for steps.
        steps: The steps, outer ones first.
    """

    name: str
    digest: str
    module: str = ""
    source: str = ""
    steps: list[PreprocessingStep] = []
