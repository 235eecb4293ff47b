"""``prefect.tasks.shell``."""

from loopline.tasks.shell import ShellTask

__all__ = ["ShellTask"]
