"""Records: values with named fields that nobody changes.

Owns how they are made quickly, since each chunk is told of in a dozen of them. Knows none of them.
"""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(kind: type[T]) -> type[T]:
    """Make a class a record: a dataclass that is frozen to the type checker alone.

    At run time that would make one of nine fields take 1.4 µs in place of 0.2.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)
