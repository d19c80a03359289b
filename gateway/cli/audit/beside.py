"""What `lgsp audit verify` found beside the log, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.cli.audit.labels import counted, said
from gateway.cli.audit.verdict import Verdict
from gateway.cli.common.language import either

if TYPE_CHECKING:
    from gateway.audit.verify.complete import Completeness
    from gateway.audit.verify.registered import Registered
    from gateway.audit.witnessing.verify import Outside


@dataclass(frozen=True, slots=True)
class Beside:
    """What only a database can show beside its log: rows, the registry, what others signed, and what is missing."""

    rows: Completeness | None = None
    registered: Registered | None = None
    accounts: Registered | None = None
    outside: Outside | None = None
    missing: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    verdict: Verdict | None = None

    @property
    def wrong(self) -> tuple[str, ...]:
        return (
            *self.missing,
            *(self.rows.wrong if self.rows is not None else ()),
            *(self.registered.wrong if self.registered is not None else ()),
            *(self.accounts.wrong if self.accounts is not None else ()),
            *(self.outside.wrong if self.outside is not None else ()),
        )

    def facts(self) -> dict[str, Any]:
        rows, outside = self.rows, self.outside
        facts: dict[str, Any] = {}
        if rows is not None:
            facts["rows"] = {"ok": rows.ok, "checked": rows.checked, "wrong": rows.wrong}
        if self.unseen:
            facts["unseen"] = self.unseen
        if self.registered is not None:
            facts["registry"] = {"checked": self.registered.checked, "wrong": self.registered.wrong}
        if self.accounts is not None:
            facts["accounts"] = {"checked": self.accounts.checked, "wrong": self.accounts.wrong}
        if outside is not None:
            facts["outside"] = {
                "checked": outside.checked,
                "newest": outside.newest,
                "wrong": outside.wrong,
                "notes": outside.notes,
            }
        return facts | (self.verdict.facts() if self.verdict is not None else {})

    def lines(self) -> list[str]:
        lines = counted(self.rows.checked, "rows") if self.rows is not None else []
        for part in (self.registered, self.accounts):
            lines += counted(part.checked) if part is not None else []
        if self.outside is not None:
            upto, checked = either("up to {0} entries", "đến {0} mục").format, self.outside.checked
            lines += [
                f"{line}, {upto(self.outside.newest[kind])}"
                for kind, line in zip(checked, counted(checked), strict=True)
            ]
            lines += [f"  {text}" for text in self.outside.notes]
        lines += [f"  {said('not-checked')}: {text}" for text in self.unseen]
        return lines + (self.verdict.lines() if self.verdict is not None else [])
