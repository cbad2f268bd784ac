"""How log lines look, the same in every service."""

import logging
import sys


def configure(level: str, name: str) -> None:
    """Log to standard error from `level` on; each line says which service speaks."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s {name:<10} %(levelname)-8s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What other libraries tell at this level says nothing to who runs an analysis.
    for chatty in ("asyncio", "markdown_it", "matplotlib", "PIL", "uvicorn", "watchfiles", "websockets"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
