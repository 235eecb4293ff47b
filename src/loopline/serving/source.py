"""Where a served model comes from: an address asked again and again for what it means now."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from loopline.models.address import FolderAddress, RegistryAddress, RunAddress, parse_model_address
from loopline.models.fetch import fetch_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Found", "Source"]


class Found(NamedTuple):
    """What an address means now.

    Attributes:
        version: Number of the version; empty for what has none.
        key: Another one when it means something else.
    """

    version: str
    key: str


class Source:
    """One address of a model.

    Attributes:
        address: As given.
        name: What it is served as: the registered model's name, or the folder's.
        moves: Whether it can come to mean another version.
    """

    def __init__(self, address: str, *, name: str = "", version: str = "") -> None:
        """Read the address.

        Args:
            address: Such as ``models:/taxifare_model/Production``.
            name: What it is served as; found in the address when empty.
            version: What a folder's model is called, where one knows.

        Raises:
            InvalidInputError: It is no address of a model.
        """
        self.address = address
        self._parsed = parsed = parse_model_address(address)
        self._version = version
        self.moves = isinstance(parsed, RegistryAddress) and not parsed.version
        if name:
            self.name = name
        elif isinstance(parsed, RegistryAddress):
            self.name = parsed.name
        elif isinstance(parsed, (RunAddress, FolderAddress)):
            self.name = PurePath(parsed.path).name or "model"
        else:
            self.name = parsed.model_id

    def look(self) -> Found:
        """Ask what the address means now.

        Raises:
            NotFoundError: Nothing.
            BackendUnavailableError: The store cannot be reached.
        """
        parsed = self._parsed
        if not isinstance(parsed, RegistryAddress):
            return Found(self._version, self.address)
        from loopline.backend.recorder import get_recorder
        from loopline.records.operations import ResolveModel

        resolved = get_recorder().call(
            ResolveModel(
                name=parsed.name,
                version=parsed.version,
                stage=parsed.stage,
                alias=parsed.alias,
                latest=parsed.latest,
            )
        )
        version = resolved.version
        return Found(str(version.version), f"{version.version} {version.digest}")

    def fetch(self, found: Found) -> Path:
        """Bring the files of what was found to this machine, and check them."""
        parsed = self._parsed
        if isinstance(parsed, RegistryAddress):
            return fetch_folder(f"models:/{parsed.name}/{found.version}")
        return fetch_folder(self.address)
