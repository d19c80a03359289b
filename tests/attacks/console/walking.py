"""Walks the console as a crawler does: every GET page, and every link of every page that it gets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote, urlsplit

from gateway.console.pages import pages
from tests.console.people import Person, Reader
from tests.doors.api.client import Answer

MOST = 300  # addresses of one walk
_PART = re.compile(r"\{[^}]+\}")
_VOLATILE = re.compile(r"[?&](cursor|lang|next|done)=")


def addresses(*values: str) -> Iterator[str]:
    """Of all GET pages; a part in the path takes each of the values."""
    for page in pages():
        if page.method == "GET":
            for value in values if "{" in page.path else ("",):
                yield "/console" + _PART.sub(quote(value, safe=""), page.path)


async def walk(person: Person, *values: str) -> dict[str, Answer]:
    """The answers by address."""
    waiting, answers = [*addresses(*values)], dict[str, Answer]()
    while waiting and len(answers) < MOST:
        address = waiting.pop(0)
        if address in answers:
            continue
        answers[address] = answer = await person.get(address)
        if answer.status == 200 and answer.headers.get("content-type", "").startswith("text/html"):
            for link in Reader(answer.body).links:
                parts = urlsplit(link)
                if not parts.netloc and parts.path.startswith("/console") and not _VOLATILE.search(link):
                    waiting.append(link.partition("#")[0])
    return answers


class Markup(HTMLParser):
    """What a browser would run, load or follow."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.inline = ""
        self._within = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._within = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within:
            self.inline += data

    def faults(self, mark: str) -> list[str]:
        """What text of a stranger became markup, a script, or an address of a script."""
        found = [f"<{tag}>" for tag in self.tags if mark in tag]
        for tag, name, value in self.attributes:
            if mark in name or name.startswith("on") or name == "style":
                found.append(f"<{tag} {name}>")
            if name in ("href", "src", "action", "formaction", "data", "srcset", "content") and re.match(
                r"\s*(javascript|data|vbscript):", value, re.IGNORECASE
            ):
                found.append(f"<{tag} {name}={value[:60]}>")
        return [*found, *([f"inline: {self.inline[:60]}"] if self.inline.strip() else [])]
