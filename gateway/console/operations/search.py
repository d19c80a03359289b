"""The search of the log: entries, tables of them, filters that somebody keeps."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

from gateway.audit.search.shown import shown
from gateway.console.site.operation import Asked
from gateway.console.work import exporting, reconciling, saved, searching
from gateway.console.work.searching import Filter
from gateway.doors.reply import Reply

_PAGE: Final = "search"  # whose filters these are


def search_entries(asked: Asked) -> Any:
    params = {name: str(value) for name, value in asked.params.items() if value is not None}
    query = Filter.of(params).query(asked.desk, asked.viewer)
    found = searching.page(asked.desk, query, params.get("cursor"), asked.params["limit"])
    return {
        "entries": [shown(each) for each in found.hits],
        "next": found.next,
        "disagree": list(found.disagree),
        "coverage": searching.covered(asked.desk).to_json(),
    }


def export_entries(asked: Asked) -> Reply:
    form = asked.body["form"]
    query = Filter.of(asked.body["filter"]).query(asked.desk, asked.viewer)
    table = exporting.export(asked.desk, asked.viewer, query, form, asked.reason())
    name = f'attachment; filename="log.{form}"'
    return Reply(200, {"content-type": table.media_type, "content-disposition": name}, table.content)


def list_filters(asked: Asked) -> Any:
    with asked.desk.reading() as connection:
        kept = saved.listed(connection, asked.viewer.account.id, _PAGE)
    return {"filters": [{"name": each.name, "filter": dict(parse_qsl(each.query))} for each in kept]}


def save_filter(asked: Asked) -> None:
    given = Filter.of(asked.body["filter"])
    given.query(asked.desk, asked.viewer)  # one that cannot be searched is not kept
    with asked.desk.writing() as connection:
        saved.save(connection, asked.viewer.account.id, _PAGE, asked.body["name"].strip(), given, asked.now)


def delete_filter(asked: Asked) -> None:
    with asked.desk.writing() as connection:
        saved.forget(connection, asked.viewer.account.id, _PAGE, asked.params["name"])


def compare(asked: Asked) -> Any:
    body = asked.body
    given = (body["agency"], body.get("day", ""), body["counts"].encode())
    return reconciling.compared(asked.desk, asked.viewer, *given).to_json()


OPERATIONS = {
    "compareCounts": compare,
    "searchEntries": search_entries,
    "exportEntries": export_entries,
    "listFilters": list_filters,
    "saveFilter": save_filter,
    "deleteFilter": delete_filter,
}
