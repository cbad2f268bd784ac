"""The client's process: runs one case against one server, prints as JSON its figures and what was computed.

python -m benchmarks.signals.client PROTOCOL PORT PID CASE
"""

import asyncio
import json
import sys
from typing import Any

from benchmarks.signals.bench import Bench
from benchmarks.signals.cases import CASES
from benchmarks.signals.protocols import CLIENTS

PATIENCE = 50.0
"""Seconds that a case may take."""


async def _measure(protocol: str, port: str, pid: str, case: str) -> dict[str, Any]:
    bench = Bench(CLIENTS[protocol], int(port), int(pid))
    async with asyncio.timeout(PATIENCE):
        figures = await CASES[case].measure(bench)
    return {"figures": figures, "cpu": bench.cpu, "units": bench.units, "seconds": bench.seconds}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(*sys.argv[1:]))))  # noqa: T201
