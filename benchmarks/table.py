"""Prints rows as a Markdown table, ready for docs/performance.md."""

from collections.abc import Iterable, Sequence


def show(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table with a title."""
    print(f"\n### {title}\n")  # noqa: T201
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(map(str, row)) + " |")  # noqa: T201
