"""A stand-in that a developer starts by hand says where it listens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any


def test_a_stand_in_says_where_it_listens(province: Any) -> None:
    command = [sys.executable, "-m", "gateway.sandbox.standins.rest_agency", "--identity"]
    with subprocess.Popen(
        [*command, str(province.identity("kinh-te").folder)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline().startswith("kinh-te: https://localhost:")
        finally:
            process.terminate()
