"""The search of the log."""

from __future__ import annotations

from typing import Any

from gateway.audit.search.shown import shown
from gateway.console.site.operation import Asked
from gateway.console.work import searching


def search_entries(asked: Asked) -> Any:
    params = {name: str(value) for name, value in asked.params.items() if value is not None}
    query = searching.Filter.of(params).query(asked.desk, asked.viewer)
    found = searching.page(asked.desk, query, params.get("cursor"), asked.params["limit"])
    return {"entries": [shown(each) for each in found.hits], "next": found.next, "disagree": list(found.disagree)}


OPERATIONS = {"searchEntries": search_entries}
