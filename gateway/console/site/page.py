"""What a page is: an address, what one must be allowed to do, and a function from a request to an answer.

A page is one module in `gateway.console.pages` with `PAGES`, and a template. Its function runs in a thread, so it may
read the database and wait. What it needs of the gateway it takes from `gateway.console.work` modules, which the API
uses too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from contracts.base.words import Language
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM, CONSOLE_REASON
from gateway.console.roles import May
from gateway.doors.reply import Reply

if TYPE_CHECKING:
    from starlette.routing import Route

    from gateway.console.site.desk import Desk

LEAST_REASON: Final = 10
MOST_REASON: Final = 500


def N_(text: str) -> str:
    """Marks a text for the catalogue; the template translates it."""
    return text


class Menu(StrEnum):
    """The groups of the menu, in order."""

    HOME = N_("Home")
    AUDIT = N_("Audit")
    ACCESS = N_("Access")
    OPERATION = N_("Operating")
    CONTRACTS = N_("Contracts")
    SANDBOX = N_("Sandbox")
    MINE = N_("My account")


@dataclass(frozen=True, slots=True)
class Ask:
    """A checked request. `form` is that of a POST whose origin and token were checked."""

    desk: Desk
    viewer: Viewer
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    language: Language
    source: str
    now: float
    address: str = ""  # path and query, as they were asked for
    origin: str = ""  # scheme and host
    files: Mapping[str, bytes] = field(default_factory=dict)  # of a page that takes an `upload`
    still: Callable[[], Viewer | None] = lambda: None  # who has the same session now; it runs in a thread
    accept: str = ""  # the media types that are accepted

    def field(self, name: str, most: int = 200) -> str:
        """A field of the form. Raises `console.form` if it is missing, empty or too long."""
        text = self.form.get(name, "").strip()
        if not text or len(text) > most:
            raise CONSOLE_FORM(field=name, why="missing" if not text else f"more than {most} characters")
        return text

    def begun(self, running: Mapping[str, bool]) -> dict[str, str]:
        """What is begun is said to have begun while it runs, and no longer. `running`: by the name in `done`."""
        done = self.query.get("done", "")
        return {"done": ""} if not running.get(done, True) else {}

    def reason(self) -> str:
        """The reason of an act. Raises `console.reason`."""
        return checked_reason(self.form.get("reason", ""))


def checked_reason(text: str) -> str:
    """A reason without blanks around it. Raises `console.reason`."""
    if not LEAST_REASON <= len(text := text.strip()) <= MOST_REASON:
        raise CONSOLE_REASON(least=LEAST_REASON)
    return text


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of a template."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Moved:
    """To another page, after an act. `done` names a text of the catalogue that it shows once."""

    to: str
    done: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file."""

    content: bytes
    media_type: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """A stream of events that says when a page has changed (`gateway.console.site.live`).

    `key` names the page: its readers share one poll. `probe` reads what the page shows, as a small value, and `going`
    whether it may still change. Both run in a thread, every `pause` seconds.
    """

    key: tuple[str, ...]
    probe: Callable[[], object]
    pause: float = 1.0
    going: Callable[[], bool] | None = None


Answer = Shown | Moved | Sent | Live | Reply  # a reply streams a file by its `parts`
View = Callable[[Ask], Answer]


@dataclass(frozen=True, slots=True)
class Page:
    """`path` begins below `root` and may have `{name}` parts. A page with a `menu` stands in the menu.

    A page of POST names the `operation` of the API that does the same, or says why it is `page_only`.
    """

    path: str
    view: View
    may: May
    title: str = ""
    menu: Menu | None = None
    method: str = "GET"
    operation: str = ""
    page_only: str = ""
    root: str = "/console"  # what the path begins below, where another package serves the page
    looks: bool = False  # a page of POST that only shows: a refused form on it comes back by showing it again
    upload: int = 0  # bytes of a form that may have files; 0: none, and the bound of other forms


@dataclass(frozen=True, slots=True)
class Beside:
    """What another package serves in the frame of the console: pages below `root`, and `routes` without a session."""

    root: str
    pages: tuple[Page, ...]
    routes: Callable[[Desk], list[Route]]
