"""Requirements of a model: packages and versions, and nothing about where to fetch them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import loopline.models.sklearn as flavor
from loopline.errors import InvalidInputError
from loopline.models.requirements import gather_requirements, installed_version

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def test_a_model_names_what_loading_it_needs_in_the_versions_at_hand(
    folder: Path,
    fare_model: Any,  # noqa: ANN401
) -> None:
    flavor.save_model(fare_model, folder)
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert f"scikit-learn=={installed_version('scikit-learn')}" in lines
    assert f"skops=={installed_version('skops')}" in lines
    conda = yaml.safe_load((folder / "conda.yaml").read_text())
    assert conda["dependencies"][-1] == {"pip": lines}
    python_env = yaml.safe_load((folder / "python_env.yaml").read_text())
    assert python_env["dependencies"] == ["-r requirements.txt"]


def test_no_file_of_a_model_says_where_packages_come_from(
    folder: Path,
    fare_model: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@index.example/simple")
    flavor.save_model(fare_model, folder)
    for name in ("MLmodel", "requirements.txt", "conda.yaml", "python_env.yaml"):
        assert not re.search(r"index|://|secret", (folder / name).read_text())


def test_given_requirements_stand_instead_and_extra_ones_beside(tmp_path: Path) -> None:
    assert gather_requirements(["numpy"], ["scikit-learn==1.5.2"]) == ["scikit-learn==1.5.2"]
    file = tmp_path / "requirements.txt"
    file.write_text("# for the fares\nscikit-learn==1.5.2  # pinned\n\n")
    assert gather_requirements(["numpy"], str(file)) == ["scikit-learn==1.5.2"]
    assert gather_requirements(["numpy", "scikit-learn"], None, ["Scikit_Learn==1.5.2"]) == [
        f"numpy=={installed_version('numpy')}",
        "Scikit_Learn==1.5.2",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://index.example/simple",
        "-i https://index.example/simple",
        "--extra-index-url=https://index.example/simple",
        "-r other.txt",
    ],
)
def test_options_of_pip_are_refused(line: str) -> None:
    with pytest.raises(InvalidInputError, match="is an option of pip"):
        gather_requirements([], [line])


def test_passwords_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInputError, match="user name or password") as error:
        gather_requirements([], ["fares @ https://me:secret@git.example/fares.git"])
    assert "secret" not in str(error.value)


def test_a_requirements_file_that_is_missing_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"no requirements file 'nowhere\.txt'"):
        gather_requirements([], "nowhere.txt")
