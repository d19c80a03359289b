"""`python -m gateway`, where the kit and the agent are all that runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

LACKING = "fcntl", "resource", "uvloop", "setproctitle", "pwd", "grp"  # what Windows has not
RUN = (
    "import runpy, sys; sys.modules.update(dict.fromkeys({lacking!r})); sys.argv[1:] = {words!r}; "
    "runpy.run_module('gateway', run_name='__main__')"
)


@pytest.mark.parametrize(
    "words", [["--version"], ["client", "--help"], ["agent", "--help"], ["client", "show", "nobody"]]
)
def test_it_loads_without_what_windows_lacks(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(lacking=LACKING, words=words)], capture_output=True, text=True, timeout=300
    )
    assert "Traceback" not in done.stderr and done.returncode == (2 if "nobody" in words else 0), done.stderr
