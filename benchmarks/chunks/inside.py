"""Databench's measurement: starts the real processes and has a handler of theirs measure, as a page asks for it."""

import asyncio
from pathlib import Path
from typing import Any

from benchmarks.chunks.cases import Case
from benchmarks.environments import UnavailableError
from benchmarks.serving import serving
from databench.testing import Page

HANDLERS = Path(__file__).parent / "handlers"


def measured(name: str, case: Case, patience: float) -> dict[str, Any]:
    """Return the figures; raises UnavailableError where the handler does not give them within `patience` seconds."""
    with serving(HANDLERS, "--workers", str(case.workers), "--slots", str(case.slots)) as server:
        return {"figures": asyncio.run(_asked(server.url, name, case, patience))}


async def _asked(url: str, name: str, case: Case, patience: float) -> Any:
    async with Page(url, "slots") as page:
        await page.emit("measure", {"case": name, "workers": case.workers, "each": case.slots})
        try:
            answer = await page.receive("measured", "error", "warn", within=patience)
        except TimeoutError:
            raise UnavailableError(f"not within {patience:g} s") from None
    if answer.name != "measured":
        raise UnavailableError(answer.payload["message"])
    return answer.payload
