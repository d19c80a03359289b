"""Ports that tests and measures draw: no two draws share one, though nobody listens yet."""

from __future__ import annotations

import subprocess
import sys

_DRAWS = """
from bench.ports import free_port, free_ports
print(*[free_port() for _ in range(20)], *[port for _ in range(20) for port in free_ports(49)], flush=True)
input()
"""


def test_draws_of_several_processes_share_no_port() -> None:
    drawing = [
        subprocess.Popen([sys.executable, "-c", _DRAWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        drawn: list[int] = []
        for each in drawing:
            assert each.stdout is not None
            drawn += map(int, each.stdout.readline().split())
    finally:
        for each in drawing:
            each.communicate("\n", timeout=60)
    assert len(drawn) == 3 * (20 + 20 * 49)
    assert len(set(drawn)) == len(drawn)
