"""Bundles: a folder that serves a model with nothing else than Python, and a Dockerfile for it.

It holds the model's files, Loopline's own sources as they are here, a runner, and requirements with
the exact version of everything that they need: those of the model's own requirements, and for the
rest what is installed here.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.errors import AlreadyExistsError, ConflictError, UnsupportedError
from loopline.models.mlmodel import read_mlmodel
from loopline.serving.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["build_bundle", "build_image", "exact_requirements", "requirements_of"]

#: What serving needs of Loopline's requirements, and pandas, into whose tables requests go.
ROOTS = ("click", "httptools", "msgspec", "pandas", "pyarrow", "pyyaml", "rich", "starlette",
         "uvicorn", "uvloop")  # fmt: skip
#: Parts of Loopline that a bundle does without: pages, and programs of other kinds.
LEFT_OUT = ("_examples", "compat", "demo", "mlflow_plugin", "__pycache__")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

RUNNER = '''"""Serve the model of this folder: python serve.py --port 8080 (or --help)."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ABOUT = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
sys.path.insert(0, str(HERE / "lib"))

from loopline.cli import main  # noqa: E402 - found in lib

address = f"{ABOUT['name']}={HERE / 'model'}"
told = ["--as-version", ABOUT["version"]] if ABOUT["version"] else []
sys.argv[1:1] = ["serve", address, *told, *(["--allow-pickle"] if ABOUT["allow_pickle"] else [])]
main()
'''

DOCKERFILE = """FROM python:{python}-slim
WORKDIR /bundle
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
RUN useradd --create-home serving
USER serving
EXPOSE 8080
# Who may ask is for the network around the container to say.
CMD ["python", "serve.py", "--host", "0.0.0.0", "--insecure", "--port", "8080"]
"""

README = """# {name} {version}

    python -m venv .venv
    .venv/bin/pip install -r requirements.txt
    .venv/bin/python serve.py --port 8080

or `docker build -t {name} .` and `docker run -p 8080:8080 {name}`. Then ask it:

    curl localhost:8080/invocations -H "Content-Type: application/json" \\
        -d @model/serving_input_example.json
"""


def build_bundle(address: str, target: str | Path, *, allow_pickle: bool = False) -> Path:
    """Make a folder that serves a model; it appears in whole or not at all.

    Args:
        address: Such as ``models:/taxifare_model/Production``: the version that it means now.
        target: Must not exist, or be an empty folder.
        allow_pickle: Let the bundle run code from the model's file, where its format needs that.

    Raises:
        AlreadyExistsError: There is something at ``target``.
        NotFoundError: There is no such model.
    """
    path = Path(target).absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        msg = f"There is something at {path}. Name a folder that is not there yet."
        raise AlreadyExistsError(msg)
    source = Source(address)
    found = source.look()
    model = source.fetch(found)
    read_mlmodel(model)  # Whatever else the folder is, it must be a model's.
    partial = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        partial.mkdir(parents=True)
        shutil.copytree(model, partial / "model")
        sources = Path(__file__).resolve().parents[1]
        shutil.copytree(
            sources, partial / "lib" / "loopline", ignore=shutil.ignore_patterns(*LEFT_OUT)
        )
        _copy_metadata(partial / "lib")
        about = {
            "name": source.name,
            "version": found.version,
            "address": address,
            "allow_pickle": allow_pickle,
            "python": platform.python_version(),
        }
        texts = {
            "bundle.json": json.dumps(about, indent=2) + "\n",
            "requirements.txt": "".join(f"{line}\n" for line in _requirements(model)),
            "serve.py": RUNNER,
            "Dockerfile": DOCKERFILE.format(python=".".join(platform.python_version_tuple()[:2])),
            ".dockerignore": ".venv\n",
            "README.md": README.format(name=source.name, version=found.version).replace(
                "  \n", "\n"
            ),
        }
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8")
        if path.is_dir():
            path.rmdir()
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def build_image(folder: Path, tag: str) -> None:
    """Build a bundle's image with Docker.

    Raises:
        UnsupportedError: Docker is not there.
        ConflictError: It failed; the message has its last words.
    """
    docker = shutil.which("docker")
    if docker is None:
        msg = (
            f"Docker is not installed here. The bundle is ready at {folder}: build it where there "
            f"is one, with `docker build -t {tag} {folder}`, or run its serve.py without."
        )
        raise UnsupportedError(msg)
    done = subprocess.run(  # noqa: S603 - the program that was asked for
        [docker, "build", "-t", tag, str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-500:]
        msg = (
            f"`docker build` failed: {words}\nThe bundle is ready at {folder}: build it again with "
            f"`docker build -t {tag} {folder}`."
        )
        raise ConflictError(msg)


def _requirements(model: Path) -> list[str]:
    """List what the bundle needs, each with its exact version."""
    return exact_requirements(requirements_of(model))


def requirements_of(model: Path) -> list[str]:
    """Read what a model needs, as it was logged; Loopline itself is none of it."""
    file = model / "requirements.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    own = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return [line for line in own if _normal(line) != "loopline"]


def exact_requirements(own: Iterable[str]) -> list[str]:
    """Add to a model's requirements, with the versions installed here, all that they need.

    Args:
        own: The model's, which stay as they are; ``loopline`` itself goes along as sources.
    """
    lines = {_normal(line): line for line in own if _normal(line) != "loopline"}
    waiting = [*lines, *ROOTS]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name == "loopline":
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # Of another platform, or an extra's.
        lines.setdefault(name, f"{name}=={distribution.version.partition('+')[0]}")
        for needed in distribution.requires or ():
            requirement, _, marker = needed.partition(";")
            if "extra" not in marker:
                waiting.append(_normal(requirement))
    return [lines[name] for name in sorted(lines)]


def _normal(line: str) -> str:
    match = _NAME.match(line.strip())
    return re.sub(r"[-_.]+", "-", match.group() if match else line).lower()


def _copy_metadata(lib: Path) -> None:
    """Write down which Loopline it is, where ``importlib.metadata`` looks."""
    version = importlib.metadata.version("loopline")
    folder = lib / f"loopline-{version}.dist-info"
    folder.mkdir()
    text = f"Metadata-Version: 2.1\nName: loopline\nVersion: {version}\n"
    (folder / "METADATA").write_text(text, encoding="utf-8")
