"""Prefect 1's helpers."""

from loopline.compat.prefect.refusals import refusing

__getattr__ = refusing(__name__)
