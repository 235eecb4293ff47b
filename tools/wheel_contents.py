"""Build hook: what a wheel carries besides the package itself."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["WheelContents"]


class WheelContents(BuildHookInterface[Any]):
    """Adds what `loopline` needs where there is no clone of this repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the demo's package, so that `loopline demo taxifare` runs from the wheel alone.

        Not to an editable install: that finds the folder itself, and a copy would go stale.
        """
        if version == "standard":
            build_data["force_include"]["examples/taxifare"] = "loopline/_examples/taxifare"
