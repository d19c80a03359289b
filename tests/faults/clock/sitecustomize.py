"""A clock that a test moves for all processes that it starts, while they run: `time.time` with an offset.

Python imports this file by itself, before any other, in a process that has its folder in PYTHONPATH
(`tests.faults.movedclock`).
The offset in seconds is 8 bytes of the file TEST_CLOCK_FILE, which all these processes map.
"""

import mmap
import os
import struct
import time

if (name := os.environ.get("TEST_CLOCK_FILE")) is not None:
    with open(name, "rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real, real_ns = time.time, time.time_ns

    def offset() -> float:
        return float(struct.unpack("d", shared[:8])[0])

    time.time = lambda: real() + offset()
    time.time_ns = lambda: real_ns() + int(offset()) * 1_000_000_000
