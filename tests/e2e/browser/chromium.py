"""Debian's Chromium under playwright: where it is, and how it is started."""

import os
import shutil

from playwright.sync_api import Browser, Playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(playwright: Playwright) -> Browser:
    """Start the Chromium that $DATABENCH_CHROMIUM names, else the one on the path."""
    path = os.environ.get("DATABENCH_CHROMIUM") or shutil.which("chromium")
    if path is None:
        raise FileNotFoundError("there is no chromium on the path; scripts/chromium installs it")
    # Visitors go back to pages that their browser has kept.
    kept = ["--disable-back-forward-cache"]
    return playwright.chromium.launch(executable_path=path, args=FLAGS, ignore_default_args=kept)
