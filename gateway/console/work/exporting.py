"""The entries of a filter as a table: all pages of it, up to a cap.

Invariant: the export is in the log, with its conditions and number of entries, before a byte of it leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from contracts.base.words import Language
from gateway.audit.search import table
from gateway.audit.search.search import Query, reading, search
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_EXPORT_LARGE, CONSOLE_FORM
from gateway.console.site.desk import Desk
from gateway.console.work.headers import header
from gateway.journal.append import append

CAP: Final = 20_000
_PAGE: Final = 500
Form = Literal["csv", "xlsx"]
_MEDIA: Final = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
BOM: Final = b"\xef\xbb\xbf"  # without it spreadsheets misread Vietnamese


@dataclass(frozen=True, slots=True)
class Exported:
    content: bytes
    media_type: str
    entries: int


def export(
    desk: Desk, viewer: Viewer, query: Query, form: str, reason: str, language: Language | None = None
) -> Exported:
    """Exactly the entries of the filter as of now, under a header in this language, else of codes.

    Raises `console.export-large` if there are more than `CAP`.
    """
    if form not in _MEDIA:
        raise CONSOLE_FORM(field="form", why=" | ".join(_MEDIA))
    rows, cursor = list[table.Row](), None
    with reading(desk.services.engine) as connection:
        while True:
            page = search(connection, query, limit=min(_PAGE, CAP + 1 - len(rows)), cursor=cursor)
            rows += map(table.row, page.hits)
            if len(rows) > CAP:
                raise CONSOLE_EXPORT_LARGE(most=CAP)
            if (cursor := page.next) is None:
                break
    with desk.writing() as connection:
        append(connection, [table.note(query, len(rows), desk.now(), viewer.actor, {"reason": reason, "form": form})])
    named = header("log", table.COLUMNS, language)
    content = table.as_xlsx(rows, named) if form == "xlsx" else BOM + table.as_csv(rows, named).encode()
    return Exported(content, _MEDIA[form], len(rows))
