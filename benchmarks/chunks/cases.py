"""What is measured with how many workers and slots, and what Databench's figures are to reach."""

from dataclasses import dataclass

from benchmarks.aims import Aim
from benchmarks.chunks.measures import ARRAYS, CHUNK_DRAWS, CHUNKS, ITEMS, JOBS, SINGLES, SMALL_JOBS, STEPS
from benchmarks.rounds import Figure


@dataclass(frozen=True)
class Case:
    """A case and its figures, by name."""

    figures: dict[str, Figure]
    workers: int = 1
    slots: int = 2
    lossless: bool = False
    """Whether pools are set up to survive the loss of a process, where they can."""


def _loss(what: str, stall: float) -> dict[str, Figure]:
    return {
        "came": Figure(f"{what}: results of {STEPS} × 20 ms", "{:,.0f}", (Aim(STEPS),)),
        "stall": Figure("the same: longest time without a result", "{:,.0f} ms", (Aim(stall, least=False),)),
        "again": Figure("the same: tasks that ran twice to their end", "{:,.0f}"),
        "delivered": Figure("the same: tasks begun again after their result came", "{:,.0f}", (Aim(0, least=False),)),
    }


CASES = {
    "items": Case(
        {
            "plain": Figure(
                f"{ITEMS:,} no-op items, plain `map`", "{:,.0f}/s", (Aim(1, beside="executor", figure="batches"),)
            ),
            "batches": Figure("the same, in the best batches", "{:,.0f}/s"),
        }
    ),
    "singles": Case(
        {
            "rate": Figure(f"{SINGLES:,} no-op tasks submitted one by one", "{:,.0f}/s", (Aim(1, beside="executor"),)),
            "first": Figure("submit to result, warm, median", "{:.2f} ms", (Aim(1, least=False),)),
        }
    ),
    "slowpi": Case(
        {
            "jobs": Figure(
                f"slowpi on 12 slots, {JOBS} × 100 sleeps of 1 ms, ÷ nine rounds", "{:.3f}", (Aim(1.03, least=False),)
            ),
            "small": Figure(
                f"the same as {SMALL_JOBS:,} × 10 sleeps, ÷ (all sleep ÷ 12)", "{:.3f}", (Aim(1.03, least=False),)
            ),
        },
        slots=12,
    ),
    "draws": Case(
        {"of_ideal": Figure(f"{CHUNKS} × {CHUNK_DRAWS:,} numpy draws, of serial ÷ 2", "{:.2f}", (Aim(0.95),))}
    ),
    "arrays": Case(
        {
            "rate": Figure(
                f"{ARRAYS} arrays of 8 MB to tasks and back",
                "{:,.0f} MB/s",
                (Aim(1, beside="executor"), Aim(1, beside="ray")),
            )
        }
    ),
    "slot": Case(_loss("kill -9 of one of 4 slots", 50), slots=4, lossless=True),
    "worker": Case(_loss("kill -9 of one of 4 workers", 150), workers=4, slots=1, lossless=True),
}
