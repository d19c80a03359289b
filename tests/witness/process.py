"""A witness in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit


def started(folder: Path, listen: str) -> tuple[subprocess.Popen[str], str]:
    """The process, once it listens, and its host and port."""
    command = [sys.executable, "-m", "gateway", "witness", "run", "--data", str(folder), "--listen", listen, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    return process, str(urlsplit(json.loads(process.stdout.readline())["address"]).netloc)
