"""The officer's questions, each answered by one command, right after a month of changes: as the record has it that the
test kept while the month was played. The record shares no code with the product.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests import commandline
from tests.story.month import Month


def test_it_plays(tmp_path: Path) -> None:
    begins = datetime.now(UTC).timestamp() - 29 * 86400
    m = Month(tmp_path, begins)
    m.now += 60
    m.now += 60
    m.propose(dict(id="T-1", agency="H14.21", contract="indicator/v1", operations=["getValue"], fields=["*", "!responsible"], purpose="x", legal_basis="y", valid_from=date(2026, 1, 1), valid_until=date(2030, 12, 31)))
    m.now += 60
    m.sign("T-1", "can-bo-an-toan-1")
    m.sign("T-1", "can-bo-an-toan-2")
    m.now += 60
    m.close()
