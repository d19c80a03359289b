"""Finds what a person means by a name in a search, and says which names nobody knows.

Agencies and systems are found by id, and by title in either language, without marks. A name that the registry lacks
may stand in the log: then it is searched as it is.
Invariant: a name that neither the registry nor the log has is reported, instead of finding nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.plain_words import has_words, plain
from gateway.audit.search.fields import FIELDS, KINDS, kinds_in
from gateway.audit.search.search import Query, search
from gateway.journal.schema import tables

MOST: Final = 8
_TITLES: Final = {
    "agency.code": (tables.agency.c.code, tables.agency.c.name_vi, tables.agency.c.name_en),
    "system.id": (tables.system.c.id, tables.system.c.title_vi, tables.system.c.title_en),
}


class Unknown(NamedTuple):
    """A name that means nothing, or more than one thing. `near` are those that may be meant, with titles if known."""

    field: str
    name: str
    near: tuple[str, ...]
    several: bool = False


def names(connection: Connection, field: str) -> dict[str, tuple[str, ...]]:
    """Every name that the registry, or the program itself, has of a field; with its titles."""
    from gateway import errors  # imports every package

    known = FIELDS[field].known
    if known == "kinds":
        return dict.fromkeys(sorted(KINDS), ())
    if known == "failures":
        return dict.fromkeys(sorted(errors.every()), ())
    table, _, column = known.partition(".")
    columns = _TITLES.get(known, (tables.metadata.tables[table].c[column],))
    return {str(row[0]): tuple(map(str, row[1:])) for row in connection.execute(select(*columns).order_by(columns[0]))}


def resolved(
    connection: Connection, wanted: Mapping[str, str], scope: str | None = None
) -> tuple[dict[str, str], tuple[Unknown, ...]]:
    """The conditions by the ids that are meant. `connection` is one of `reading`.

    `scope`: the agency in whose entries alone a name is looked for.
    """
    found, unknown = dict(wanted), list[Unknown]()
    for field, name in wanted.items():
        if not FIELDS[field].known:
            continue
        known = names(connection, field)
        if field == "kind":
            unknown += [nearest(field, each, known) for each in kinds_in(name) if each not in known]
            continue
        meant = meaning(known, name)
        if len(meant) == 1:
            found[field] = meant[0]
        elif not _logged(connection, field, name, scope):
            several = tuple(titled(each, known) for each in meant[:MOST])
            unknown.append(Unknown(field, name, several, True) if meant else nearest(field, name, known))
    return found, tuple(unknown)


def meaning(known: Mapping[str, Collection[str]], name: str) -> list[str]:
    """The ids that a name may mean: that id, else one that is written alike, else those with such a title."""
    if name in known:
        return [name]
    alike = [each for each in known if each.casefold() == name.casefold()]
    spoken = plain(name)
    if alike or not spoken:
        return alike
    spoken_titles = {each: [plain(title) for title in titles] for each, titles in known.items()}
    same = [each for each, titles in spoken_titles.items() if spoken in titles]
    return same or [each for each, titles in spoken_titles.items() if any(has_words(title, spoken) for title in titles)]


def _logged(connection: Connection, field: str, name: str, scope: str | None) -> bool:
    """Whether the log has it, or was too long to look through."""
    conditions = {field: name} if field == "agency" or scope is None else {field: name, "agency": scope}
    page = search(connection, Query(**conditions), limit=1)  # type: ignore[arg-type]
    return bool(page.hits) or page.next is not None


def nearest(field: str, name: str, known: Mapping[str, Collection[str]]) -> Unknown:
    """What may be meant by a name that means nothing."""
    written = dict(_written(known))
    close = get_close_matches(plain(name), written, n=MOST, cutoff=0.7)
    ids = dict.fromkeys(written[each] for each in close)
    return Unknown(field, name, tuple(titled(each, known) for each in [*ids][:3]))


def _written(known: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    for each, titles in known.items():
        for title in titles:
            yield plain(title), each
        yield plain(each), each


def titled(id: str, known: Mapping[str, Collection[str]]) -> str:
    """An id with its title, as somebody is told of it."""
    title = next(iter(known[id]), "")
    return f"{id} ({title})" if title else id
