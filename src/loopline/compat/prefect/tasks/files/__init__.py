"""``prefect.tasks.files``: files on this machine."""

from loopline.compat.prefect.refusals import refusing
from loopline.compat.prefect.tasks.files.compression import Unzip, Zip
from loopline.compat.prefect.tasks.files.operations import Copy, Glob, Move, Remove

__all__ = ["Copy", "Glob", "Move", "Remove", "Unzip", "Zip"]

__getattr__ = refusing(__name__)
