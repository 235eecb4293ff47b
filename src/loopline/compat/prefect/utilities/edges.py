"""``prefect.utilities.edges``."""

from loopline.flows.annotations import EdgeAnnotation, flatten, mapped, unmapped

__all__ = ["EdgeAnnotation", "flatten", "mapped", "unmapped"]
