"""Imports libraries without those of their parts that no process of ours uses: every door would hold them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def unloaded(unused: Mapping[str, str]) -> Iterator[None]:
    """Within the block these modules (module -> the names that are imported from it) are not loaded.

    A placeholder stands for each, and for its names a function that does nothing. Afterwards the modules can be
    imported as ever. One that is loaded already stays.
    """
    placed = {name: ModuleType(name) for name in unused if name not in sys.modules}
    for name, module in placed.items():
        for each in unused[name].split():
            setattr(module, each, lambda *values, **named: None)
    sys.modules.update(placed)
    try:
        yield
    finally:
        for name in placed:
            del sys.modules[name]
