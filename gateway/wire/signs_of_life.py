"""Signs of life of a call that takes long: progress that starts a client's idle timeout anew, and says nothing else."""

from __future__ import annotations

import time
from typing import Final

STEP: Final = 0.001
"""How far one sign moves the progress on: it may only grow, and should not look like any of the tool's own."""


def still_working(begun: float) -> str:
    """What a sign says.

    Args:
        begun: when the call did, by `time.monotonic()`.
    """
    return f"Still working after {round(time.monotonic() - begun, 1):g} s."
