"""The client's process: runs one case against one server and prints its figures as JSON.

python -m benchmarks.signals.client PROTOCOL PORT PID CASE
"""

import asyncio
import json
import sys

from benchmarks.signals.cases import CASES, Bench
from benchmarks.signals.protocols import CLIENTS

PATIENCE = 50.0
"""Seconds that a case may take."""


async def _measure(protocol: str, port: str, pid: str, case: str) -> dict[str, float]:
    async with asyncio.timeout(PATIENCE):
        return await CASES[case].measure(Bench(CLIENTS[protocol], int(port), int(pid)))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(*sys.argv[1:]))))  # noqa: T201
