"""The operations of the management API for persons: each module here has `OPERATIONS`, functions by `operationId`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from gateway.console.site.operation import Operation


@cache
def operations() -> Mapping[str, Operation]:
    """All functions of all modules."""
    found: dict[str, Operation] = {}
    for name in sorted(each.name for each in iter_modules(__path__)):
        own: Mapping[str, Operation] = import_module(f"{__name__}.{name}").OPERATIONS
        assert not set(own) & set(found), f"{name}: an operation stands twice"
        found |= own
    return found
