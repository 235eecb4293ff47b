"""``prefect.tasks.core.collections``."""

from loopline.compat.prefect.refusals import refusing
from loopline.flows.authoring.gathering import Dict, List, Set, Tuple

__all__ = ["Dict", "List", "Set", "Tuple"]

__getattr__ = refusing(__name__)
