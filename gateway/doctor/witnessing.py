"""Examines witnesses and time-stamps: settings, an overdue quorum or stamp, failing services."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from gateway.audit.witnessing.admission import WITNESSES, patience
from gateway.audit.witnessing.config import anchors_of, policies, standing, witnesses_of
from gateway.doctor.findings import Finding, finding
from gateway.settings import BadSetting, Settings


def witness_settings(settings: Settings) -> Iterator[Finding]:
    for read in (witnesses_of, anchors_of):
        try:
            read(settings)
        except BadSetting as trouble:
            yield finding("witness.settings", reason=str(trouble))


def unwitnessed(settings: Settings) -> Iterator[Finding]:
    """Whether nobody outside is asked to confirm the log."""
    if not policies(settings):
        yield finding("witness.none")


def witness_findings(settings: Settings, connection: Connection, now: float) -> Iterator[Finding]:
    for kind in policies(settings):
        state = standing(connection, kind)
        late = state.late(now, patience(settings, kind))
        trouble = "; ".join(f"{name}: {words}" for name, words in sorted((state.trouble or {}).items()))
        if late is not None:
            seconds = round(late + patience(settings, kind))
            yield finding(
                "witness.lacking" if kind == WITNESSES else "stamp.overdue",
                seconds=seconds,
                size=state.size,
                trouble=trouble or "—",
            )
        elif trouble:
            yield finding("witness.failing" if kind == WITNESSES else "stamp.trouble", trouble=trouble)
