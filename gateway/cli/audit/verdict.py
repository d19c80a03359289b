"""Leaves the verdict of `lgsp audit verify` in the instance, so that the console and the doctor show it.

Invariant: a verdict that is not recorded is never silent: `why` says so on the command line.
Invariant: only the user of the instance writes: files of another one could not be read by its processes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.cli.common.actor import actor

if TYPE_CHECKING:
    from gateway.settings import Settings


class Verdict(NamedTuple):
    """`why`: the reason for which nothing was recorded; empty if it was."""

    why: str = ""

    def facts(self) -> dict[str, Any]:
        return {"recorded": not self.why, **({"not_recorded": self.why} if self.why else {})}

    def lines(self) -> list[str]:
        return [f"  NOT RECORDED / CHƯA GHI NHẬN: {self.why}"] if self.why else []


def leave(settings: Settings, size: int, wrong: Sequence[str], began: float) -> Verdict:
    """Records a verification of the instance's own log."""
    from sqlalchemy.exc import SQLAlchemyError

    from contracts.base.errors import Failure
    from gateway.audit.verify.recording import Found, record
    from gateway.journal.database import fits, lock_of, open_engine, writing
    from gateway.journal.read_only import writable
    from gateway.registry import restore_lock

    if os.geteuid() != settings.owner:
        return Verdict(
            f"only {settings.owner_name}, whose instance it is, may write there"
            f" / chỉ {settings.owner_name}, chủ phiên bản, được ghi"
        )
    with writable():
        engine = open_engine(settings.database_url)
        try:
            with engine.connect() as connection:
                if not fits(connection):
                    return Verdict("the database is of another release / cơ sở dữ liệu thuộc phiên bản khác")
                if math.isinf(restore_lock.held_until(connection)):
                    return Verdict("the restored instance is not confirmed / phiên bản khôi phục chưa được xác nhận")
            with writing(engine, lock_of(engine)) as connection:
                found = Found(not wrong, size, wrong)
                record(connection, settings.origin, actor(), (began, time.time()), found)
        except (SQLAlchemyError, OSError, Failure) as trouble:
            reason = str(getattr(trouble, "orig", trouble)).partition("\n")[0][:200]
            return Verdict(f"the database cannot be written / không ghi được cơ sở dữ liệu: {reason}")
        finally:
            engine.dispose()
    return Verdict()
