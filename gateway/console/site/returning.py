"""What somebody typed comes back after a refusal: the page of the form, with the failure and with what was typed.

The page is the one that the browser says it came from, else the nearest page above the address of the form. It is
shown as it is shown by a GET of the same person, with his permissions. A page that only a POST shows, without changing
anything (`Page.looks`), is shown again from the fields of the form.
Invariant: only a form whose origin and token were checked comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from starlette.routing import compile_path

from contracts.base.errors import Failure
from contracts.base.words import Language
from gateway.console.pages import pages
from gateway.console.site.page import Ask, Page, Shown
from gateway.console.site.refilling import PLACE, refilled
from gateway.console.site.render import failure_values, render

_MOST_FIELDS: Final = 100
_FIELDS: Final = {"console.reason": "reason", "account.taken": "id", "account.not-officer": "roles"}


class GivenBack(NamedTuple):
    html: str
    status: int


def given_back(ask: Ask, failure: Failure, action: str, referer: str, frame: Mapping[str, Any]) -> GivenBack | None:
    """The page of the form at `action` that was refused; None if no page has that form.

    `frame`: what the base template needs.
    """
    beside = ask.desk.beside.pages if ask.desk.beside is not None else ()
    found = ((path, query, each) for path, query in _places(ask, action, referer) for each in _pages_at(path, beside))
    for path, query, (page, params) in found:
        if page.may not in ask.viewer.account.may:
            continue
        address = path + (f"?{query}" if query else "")
        asked = dict(parse_qsl(query, max_num_fields=_MOST_FIELDS)) if query.count("&") < _MOST_FIELDS else {}
        form, files = (ask.form, ask.files) if page.looks else ({}, {})
        here = replace(ask, path=params, query=asked, form=form, files=files, address=address)
        with suppress(Failure):  # of a page that is not there any more
            answer = page.view(here)
            if isinstance(answer, Shown) and (html := _filled(ask, answer, failure, action, frame, page, address)):
                return GivenBack(html, failure.status)
    return None


def _filled(
    ask: Ask, answer: Shown, failure: Failure, action: str, frame: Mapping[str, Any], page: Page, address: str
) -> str | None:
    def rendered(failure: Failure) -> str:
        said = {**failure_values(failure, ask.language), "place": PLACE}
        values = {**frame, "here": address, "page": page, "done": "", "form_refused": said, **answer.values}
        return render(answer.template, ask.language, values)

    field = str(failure.facts.get("field") or _FIELDS.get(failure.code, ""))
    found = refilled(rendered(failure), action, ask.form, field, _why(failure, ask.language))
    if found is None or found.label is None or "field" not in failure.facts:
        return None if found is None else found.page
    facts = {**failure.facts, "field": found.label}  # as the page calls it
    named = type(failure)(failure.type, findings=failure.findings, retry_after=failure.retry_after, **facts)
    again = refilled(rendered(named), action, ask.form, field, _why(named, ask.language))
    return None if again is None else again.page


def _why(failure: Failure, language: Language) -> str:
    return f"{failure.what(language)} {failure.next(language)}"


def _places(ask: Ask, action: str, referer: str) -> Iterator[tuple[str, str]]:
    """Paths and queries of pages that may have the form, the likeliest first."""
    with suppress(ValueError):
        parts = urlsplit(referer)
        if f"{parts.scheme}://{parts.netloc}" == (ask.desk.services.settings.desk_base.rstrip("/") or ask.origin):
            yield parts.path, parts.query
    while "/" in action.strip("/"):
        yield action, ""
        action = action.rpartition("/")[0]


def _pages_at(path: str, beside: tuple[Page, ...]) -> Iterator[tuple[Page, dict[str, Any]]]:
    """The first page that a GET shows there, then the first that a POST does. Those without a title are files and
    streams."""
    for looks in (False, True):
        for pattern, page in _shown(beside):
            if page.looks is looks and (match := pattern.match(path)) is not None:
                yield page, match.groupdict()
                break


@cache
def _shown(beside: tuple[Page, ...]) -> list[tuple[Any, Page]]:
    shown = (each for each in (*pages(), *beside) if each.title and (each.method == "GET" or each.looks))
    return [(compile_path(f"{each.root}{each.path}")[0], each) for each in shown]
