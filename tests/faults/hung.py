"""A door of the product in a process of its own, on a socket that the test hands down; with `hang`, each call ends in C
code that does not end.

`python -m tests.faults.hung DATA SOCKET READY [hang]`. Nothing in the product knows of it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from gateway.exchange.exchange import Exchange
from gateway.processes.door import run_door
from gateway.processes.table import Inherited
from gateway.settings import load


async def _hang(*_: Any) -> Any:
    re.fullmatch("(a|a)*b", "a" * 64)  # holds the interpreter's lock for longer than anybody waits


if __name__ == "__main__":
    data, listener, ready, *how = sys.argv[1:]
    if how == ["hang"]:
        Exchange.carry = _hang  # type: ignore[method-assign,assignment]  # this process is made to hang
    run_door(load(Path(data)), Inherited({"exchange": int(listener)}, ready=int(ready)))
