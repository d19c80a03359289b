"""How much is tried: little by default, so that all tests end in minutes; much with LGSP_TEST_SIZE=full."""

from __future__ import annotations

import os
from typing import Final

FULL: Final = os.environ.get("LGSP_TEST_SIZE") == "full"


def examples(few: int) -> int:
    """The number of generated examples of a law that is slow to try."""
    return few * 10 if FULL else few


def mutations(few: int) -> int:
    """The number of mutations of a differential fuzz: 2,000 become 200,000."""
    return few * 100 if FULL else few
