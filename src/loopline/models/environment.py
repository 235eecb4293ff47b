"""The three files from which other tools make a model's environment."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from loopline.models.requirements import pin

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["CONDA", "ENVIRONMENT", "PYTHON_ENV", "REQUIREMENTS", "write_environment"]

REQUIREMENTS = "requirements.txt"
CONDA = "conda.yaml"
PYTHON_ENV = "python_env.yaml"

#: How MLmodel points at these files.
ENVIRONMENT = {"conda": CONDA, "virtualenv": PYTHON_ENV}


def write_environment(folder: Path, requirements: Sequence[str]) -> None:
    """Write requirements.txt, conda.yaml and python_env.yaml."""
    import yaml

    python = platform.python_version()
    build = pin(["pip", "setuptools", "wheel"])
    conda: dict[str, Any] = {
        "name": "loopline-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": list(requirements)}],
    }
    python_env = {
        "python": python,
        "build_dependencies": build or ["pip"],
        "dependencies": [f"-r {REQUIREMENTS}"],
    }
    text = "".join(f"{line}\n" for line in requirements)
    (folder / REQUIREMENTS).write_text(text, encoding="utf-8")
    (folder / CONDA).write_text(yaml.safe_dump(conda, sort_keys=False), encoding="utf-8")
    (folder / PYTHON_ENV).write_text(yaml.safe_dump(python_env, sort_keys=False), encoding="utf-8")
