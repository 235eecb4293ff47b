"""What ``loopline serve --on vm`` passes on to the machine, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from loopline.cli.serve import serve
from loopline.cli.serve_on_vm import given_options

if TYPE_CHECKING:
    from pathlib import Path


def passed_on(*words: str) -> list[str]:
    """Read a command line, and write down again what is for the machine."""
    context = serve.make_context("serve", [*words, "models:/fares/1"], resilient_parsing=False)
    return given_options(context, {"where", "uri", "size", "as_json"})


def test_what_was_said_is_passed_on_and_no_default_is() -> None:
    assert passed_on("--on", "vm", "--size", "e2-small", "--json") == []
    said = passed_on("--port", "8080", "--no-batch", "--insecure", "--record", "10%")
    assert sorted(said) == sorted(["--port", "8080", "--no-batch", "--insecure", "--record", "0.1"])
    again = ["--allow-host", "a:1", "--allow-host", "b:2"]
    assert passed_on(*again) == again
    split = ["--split", "models:/fares/Staging=25%"]
    assert passed_on(*split) == ["--split", "models:/fares/Staging=0.25"]


def test_what_is_passed_on_is_read_as_it_was() -> None:
    words = ["--record", "all", "--split", "models:/fares@best=0.5", "--id-column", "trip_id"]
    first = serve.make_context("serve", [*words, "models:/fares/1"]).params
    second = serve.make_context("serve", [*passed_on(*words), "models:/fares/1"]).params
    assert first == second


def test_files_of_this_machine_stay_here(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.touch()
    key.touch()
    words = ["--on", "vm", "--tls", str(certificate), str(key), "models:/fares/1"]
    done = CliRunner().invoke(serve, words)
    assert done.exit_code == 2
    assert "Put a proxy" in done.output
