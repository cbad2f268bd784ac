"""Random faults while jobs of all kinds run: every result is right and there once, or the job says what was lost."""

import asyncio
import os
import sys
import time
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from tests.worker.faults import RATE, Faults
from tests.worker.load import Load
from tests.worker.plant import Plant

SEED = int(os.environ.get("DATABENCH_CHAOS_SEED", "4"))
SECONDS = float(os.environ.get("DATABENCH_CHAOS_SECONDS", "12"))
"""`scripts/soak` sets both."""


@pytest.mark.timeout(SECONDS + 120)
async def test_every_result_is_right_and_there_once_whatever_goes_wrong(chores: ModuleType, tmp_path: Path) -> None:
    begin = time.monotonic()
    sys.stdout.write(f"seed {SEED}\n")  # pytest shows it where the test fails
    async with Plant(tmp_path) as plant:
        faults, load = Faults(plant, SEED), Load(plant.engine, chores, SEED)
        await faults.begin()
        working = asyncio.create_task(load.run())
        striking = asyncio.create_task(faults.strike(int(SECONDS * RATE)))
        await asyncio.wait([working, striking], return_when=asyncio.FIRST_COMPLETED)
        load.over = True
        await striking
        await working
        assert faults.ended_by_themselves() == []
        everybody = faults.everybody()
    took = time.monotonic() - begin
    sys.stdout.write(f"{took:.0f} s, {dict(faults.struck)}, {dict(load.finished)}, {load.lost} lost\n")
    assert len(faults.struck) == 8
    assert load.finished
    assert psutil.wait_procs(everybody, timeout=30)[1] == []
