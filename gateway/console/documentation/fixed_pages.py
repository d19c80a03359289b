"""All pages of the documentation site that say the same to everybody: made once for a process, then only handed out.

Guides are the files of `docs/`; a guide without a Vietnamese text is shown in English in the Vietnamese site. Errors
and operations come from the code.
"""

from __future__ import annotations

import hashlib
import posixpath
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

from markupsafe import Markup

from contracts.base.errors import AnyErrorType, Branch
from contracts.base.words import Language
from contracts.faces.pages.first_calls import FILES
from contracts.faces.pages.operations import operations
from gateway.console.documentation.markdown import Guide, guide
from gateway.console.documentation.searching import Section, section
from gateway.console.site.render import render
from gateway.doors.api.apis import DOCUMENTS, EXCHANGE, PEOPLE, merge
from gateway.doors.programs import programs
from gateway.errors import every

ROOT: Final = "/docs"
LANGUAGES: Final[tuple[Language, Language]] = ("vi", "en")
HTML: Final = "text/html; charset=utf-8"
_HERE: Final = Path(__file__).resolve().parent
# In a checkout the guides are in `docs/`; an installed package has them beside this module.
DOCS: Final = next((each for each in (_HERE / "guides", _HERE.parents[2] / "docs") if each.is_dir()), None)
# How the product is built and tested: for who has its sources.
_NOT_SERVED: Final = frozenset({"README", "architecture", "attacks", "bench", "obligations"})
_MADE: Final = frozenset({"errors"})  # a guide for whose address a page is made from the code
_PICTURES: Final = {".png": "image/png", ".svg": "image/svg+xml"}
APIS: Final = {
    "api-exchange": (EXCHANGE, "tokens keys feeds subscriptions transfers bodies handlings cases audit authority"),
    "api-people": (PEOPLE, "audit management"),
}
_BRANCHES: Final = (Branch.THEIRS, Branch.POLICY, Branch.OURS)


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    media: str
    tag: str  # a strong entity tag (RFC 9110 §8.8.3)


@dataclass(frozen=True, slots=True)
class FixedPages:
    """`files` by address; `sections` of each language, which the search looks through."""

    files: Mapping[str, File]
    sections: Mapping[Language, tuple[Section, ...]]


def file(content: bytes, media: str = HTML) -> File:
    return File(content, media, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


class ByInstance:
    """Those of each name that an instance has in this process. Whoever comes while it is made waits."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], FixedPages] = {}
        self._lock = threading.Lock()

    def of(self, name: str, kind: str) -> FixedPages:
        with self._lock:
            if (name, kind) not in self._made:
                self._made[name, kind] = _build(name, kind)
            return self._made[name, kind]


EVERY: Final = ByInstance()


def _build(name: str, kind: str) -> FixedPages:
    files, sections = dict[str, File](), dict[Language, tuple[Section, ...]]()
    for language in LANGUAGES:
        found: list[Section] = []
        for address, text in _pages(language, {"instance": name, "kind": kind}, found):
            files[address] = file(text.encode())
        sections[language] = tuple(found)
    if DOCS is not None:
        for path in sorted(DOCS.rglob("*")):
            if path.suffix in _PICTURES:
                files[f"{ROOT}/{path.relative_to(DOCS).as_posix()}"] = file(path.read_bytes(), _PICTURES[path.suffix])
    return FixedPages(files, sections)


def _pages(language: Language, frame: Mapping[str, str], found: list[Section]) -> Iterator[tuple[str, str]]:
    """Every page of a language, as HTML; its sections are added to `found`."""
    show: Callable[..., str] = partial(page, language, frame)
    titles = dict[str, str]()
    for name in guides():
        own = _read(name, language)
        made = guide(own[0], partial(_where, own[1]))
        titles[name] = made.title
        if name not in _MADE:
            content = Markup(made.html)  # noqa: S704  the renderer escapes
            values = {"guide": made, "other_text": own[1] != language, "content": content}
            yield _address(language, name), show("docs-guide.html", name, **values)
            found += _sections(made, _address(language, name))
    errors = {branch: _errors(branch) for branch in _BRANCHES}
    yield _address(language, "errors"), show("docs-errors.html", "errors", errors=errors)
    for each in every().values():
        at = f"{_address(language, 'errors')}#{each.code}"
        text = f"{each.what.of(language)} {each.next.of(language)}"
        found.append(section(at, "HTTP " + str(each.status), f"{each.code} {each.title.of(language)}", text))
    for name, (listener, names) in APIS.items():
        document = merge([DOCUMENTS / f"{each}.yaml" for each in names.split()], listener)
        shown = Markup("\n".join(operations(document, language)))  # noqa: S704  each text is escaped there
        yield _address(language, name), show("docs-api.html", name, content=shown)
        for path, item in document["paths"].items():
            for operation in (each for each in item.values() if isinstance(each, dict)):
                at = f"{_address(language, name)}#{operation['operationId']}"
                found.append(section(at, path, operation["operationId"], operation.get("summary", "")))
    yield _address(language, ""), show("docs-home.html", "", titles=titles)


def page(language: Language, frame: Mapping[str, str], template: str, name: str, **values: object) -> str:
    """A page of the site in its frame. `name` is what its address ends in."""
    other: Language = "en" if language == "vi" else "vi"
    known = {"root": _address(language, ""), "here": _address(language, name), "there": _address(other, name)}
    return render(template, language, {**frame, **known, "name": name, **values})


@cache
def guides() -> tuple[str, ...]:
    """The names of the guides that are served."""
    if DOCS is None:
        return ()
    return tuple(each.stem for each in sorted(DOCS.glob("*.md")) if each.stem not in _NOT_SERVED)


def _address(language: Language, name: str) -> str:
    return f"{ROOT}/{language}/{name}".rstrip("/")


def _read(name: str, language: Language) -> tuple[str, Language]:
    """The text of a guide, and the language that it has."""
    assert DOCS is not None
    translated = DOCS / "vi" / f"{name}.md"
    if language == "vi" and translated.is_file():
        return translated.read_text("utf-8"), "vi"
    return (DOCS / f"{name}.md").read_text("utf-8"), "en"


def _where(written_in: Language, target: str) -> tuple[str, str] | None:
    """The address on the site of what a guide names, and its title. `written_in`: the folder that the guide is in."""
    path, _, anchor = target.partition("#")
    if not path:
        return target, ""
    below = posixpath.normpath(posixpath.join("vi" if written_in == "vi" else "", path))
    folder, _, leaf = below.rpartition("/")
    at = f"#{anchor}" if anchor else ""
    if below.startswith("pictures/"):
        return f"{ROOT}/{below}", ""
    if leaf in programs():
        return f"{FILES}/{leaf}", ""
    if folder in ("", "vi") and leaf.endswith(".md"):
        language: Language = "vi" if folder == "vi" else "en"
        if leaf == "README.md":
            return _address(language, ""), ""
        if leaf[:-3] in guides():
            title, read = _title(leaf[:-3], "vi" if written_in == "vi" else language)
            # From a Vietnamese guide to one that is there in English alone: in the Vietnamese site.
            shown = "vi" if written_in == "vi" and read == "en" else language
            return _address(shown, leaf[:-3]) + ("" if leaf[:-3] in _MADE else at), title
    return None


@cache
def _title(name: str, language: Language) -> tuple[str, Language]:
    """What a guide is called, and the language that it has."""
    text, read = _read(name, language)
    return text.partition("\n")[0].lstrip("# ").replace("`", ""), read


def _sections(made: Guide, address: str) -> Iterator[Section]:
    for each in made.parts:
        at = f"{address}#{each.anchor}" if each.anchor else address
        yield section(at, made.title, each.heading or made.title, each.text)


def _errors(branch: Branch) -> dict[str, list[AnyErrorType]]:
    """The errors of a branch by the first word of their codes."""
    found: dict[str, list[AnyErrorType]] = {}
    for each in sorted(every().values(), key=lambda each: each.code):
        if each.branch is branch:
            found.setdefault(each.code.partition(".")[0], []).append(each)
    return found
