"""Errors that several packages of the gateway raise, and those of processes that ended with a call in hand."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from contracts.base.errors import TYPES, AnyErrorType, Errors

_errors = Errors(__file__)

AUDIT_LEASE_LOST = _errors.ours("audit.lease-lost", 503)
GATEWAY_FAULT = _errors.ours("gateway.fault", 500)
GATEWAY_RESTORED = _errors.ours("gateway.restored", 503)
INSTANCE_DATABASE_TAKEN = _errors.ours("instance.database-taken", 500)
INSTANCE_OTHER = _errors.ours("instance.other", 500)
PROCESS_DIED = _errors.ours("process.died", 503)
PROCESS_SILENT = _errors.ours("process.silent", 503)


@cache
def every() -> Mapping[str, AnyErrorType]:
    """All error types by code; imports only the module `errors` beside each `errors.yaml`."""
    top = Path(__file__).resolve().parent.parent
    for package in ("contracts", "security", "adapters", "gateway"):
        for path in (top / package).rglob("errors.yaml"):
            importlib.import_module(".".join((*path.parent.relative_to(top).parts, "errors")))
    return TYPES
