"""Threads that call without pause while a test changes something, from the beginning of a `with` to its end."""

from __future__ import annotations

import threading
from typing import Self


class Callers:
    def __init__(self) -> None:
        self.stop = threading.Event()
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
