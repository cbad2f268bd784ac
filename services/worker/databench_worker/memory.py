"""The memory limit of a slot, in words. The kernel keeps it (`RLIMIT_DATA`, set in the slot).

Not `RLIMIT_AS`: that counts what is only set aside or shared too, and numerical libraries set aside a lot.
"""


def in_words(memory: int) -> str:
    """Return what is said where the limit was met.

    >>> in_words(512 * 2**20)
    'a slot may use 512 MiB (DATABENCH_MEMORY)'
    """
    return f"a slot may use {memory / 2**20:,.0f} MiB (DATABENCH_MEMORY)"
