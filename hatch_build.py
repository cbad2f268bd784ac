"""Build hook: the browser client is built with npm, and the gallery goes into the wheel.

An sdist carries the built client, so installing from it needs no Node. Editable installs leave both
alone: the client is built by `make`, and the gallery is found in the checkout.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CLIENT = "client-js"
BUILT = "services/gateway/databench_gateway/static/client"
GALLERY = "analyses"


class ClientBuildHook(BuildHookInterface[Any]):
    """Runs before a wheel or an sdist is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the client unless its sources did not come along, and add the gallery to the wheel."""
        if version == "editable":
            return
        if self.target_name == "wheel":
            build_data["force_include"][str(Path(self.root, GALLERY))] = "databench/gallery"
        if not self._is_built():
            build_client(Path(self.root, CLIENT))

    def _is_built(self) -> bool:
        """Whether a built client is there that came without its sources, in an sdist, or is newer than they are.

        The last because pip asks for a wheel twice, at first for its metadata only.
        """
        root = Path(self.root)
        built = [path.stat().st_mtime for path in (root / BUILT).glob("*.js")]
        if not built or (root / "PKG-INFO").exists():
            return bool(built)
        sources = (path for path in (root / CLIENT).rglob("*") if "node_modules" not in path.parts)
        return min(built) > max((path.stat().st_mtime for path in sources if path.is_file()), default=0.0)


def build_client(folder: Path) -> None:
    """Run the client's own build; its output lands among the gateway's static files."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(
            "Databench's browser client is built with Node, and npm was not found. Install Node 20 or newer, "
            "or install Databench from its wheel or sdist: they carry the built client."
        )
    for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        subprocess.run([npm, *command], cwd=folder, check=True)
