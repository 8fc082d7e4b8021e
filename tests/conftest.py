from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """Spare every garbage collection from here on what importing and collecting have made."""
    gc.collect()
    gc.freeze()
