"""Puts what somebody typed back into the form of a page that we rendered, and marks the field that was refused.

It works on the page's own text, so that each form of the console is given back without code of its own.
Invariant: hidden fields, files and secrets are as the page renders them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from typing import Final

PLACE: Final = "refused-form"  # the id of the form's place in the page
_WHY: Final = "refused-why"
_KEPT: Final = frozenset({"hidden", "password", "file", "submit", "button", "image", "reset"})
_SECRET: Final = frozenset({"one-time-code", "current-password", "new-password"})
_CHOSEN: Final = frozenset({"checkbox", "radio"})

_Attrs = dict[str, str | None]


@dataclass(slots=True)
class _Control:
    """A field. Places are indexes into the page; `start` to `inside` is the tag, `inside` to `end` what it holds."""

    tag: str
    attrs: _Attrs
    start: int
    inside: int
    end: int
    options: list[_Control] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.attrs.get("name") or ""

    @property
    def type(self) -> str:
        return (self.attrs.get("type") or "text").lower() if self.tag == "input" else self.tag

    @property
    def value(self) -> str:
        return self.attrs.get("value") or ("on" if self.type in _CHOSEN else "")


@dataclass(slots=True)
class _Form:
    """`inside`: where its content begins."""

    action: str
    inside: int
    details: tuple[_Control, ...]
    controls: list[_Control] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self.labels: dict[str, str] = {}
        self._lines = [0]
        for line in page.split("\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)
        self._details: list[_Control] = []
        self._form: _Form | None = None
        self._open: _Control | None = None  # a textarea, a select or an option
        self._label: str | None = None
        self.feed(page)
        self.close()

    def _at(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        start = self._at()
        inside = start + len(self.get_starttag_text() or "")
        own = _Control(tag, dict(attrs), start, inside, inside)
        if tag == "details":
            self._details.append(own)
        elif tag == "label":
            self._label = own.attrs.get("for")
        elif tag == "form":
            self._form = _Form(own.attrs.get("action") or "", inside, tuple(self._details))
            if (own.attrs.get("method") or "").lower() == "post":
                self.forms.append(self._form)
        elif self._form is not None and tag in ("input", "textarea", "select"):
            self._form.controls.append(own)
            self._open = own if tag != "input" else self._open
        elif tag == "option" and self._open is not None and self._open.tag == "select":
            self._open.options.append(own)

    def handle_endtag(self, tag: str) -> None:
        if tag == "details" and self._details:
            self._details.pop()
        elif tag == "label":
            self._label = None
        elif tag == "form":
            self._form = None
        elif self._open is not None and tag == self._open.tag:
            self._open.end = self._at()
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._label:
            self.labels[self._label] = self.labels.get(self._label, "") + data
        if self._open is not None and self._open.options and "value" not in self._open.options[-1].attrs:
            last = self._open.options[-1]
            last.attrs["value"] = (last.attrs.get("value") or "") + data.strip()


@dataclass(frozen=True, slots=True)
class Refilled:
    """`label`: what the refused field is called on the page; None if the form has no such field."""

    page: str
    label: str | None


def refilled(page: str, action: str, typed: Mapping[str, str], refused: str, why: str) -> Refilled | None:
    """The page with what was typed in its form for `action`; None if it has none.

    `typed`: values by name; of a repeated field with line feeds between. `refused`: the name of the field that was not
    accepted, or "", and `why` in words. Cost: linear in the page.
    """
    read = _Forms(page)
    form = _meant([each for each in read.forms if each.action.partition("#")[0].partition("?")[0] == action], typed)
    if form is None:
        return None
    edits: list[tuple[int, int, str]] = [(form.inside, form.inside, f'<span id="{PLACE}" tabindex="-1"></span>')]
    edits += [(each.start, each.inside, _tag(each, open=None)) for each in form.details if "open" not in each.attrs]
    given = {name: value.replace("\r\n", "\n") for name, value in typed.items()}
    numbers: dict[str, int] = {}
    for each in form.controls:
        if each.type not in _CHOSEN:
            numbers[each.name] = numbers.get(each.name, 0) + 1
    lines = {name: _parts(given.get(name, ""), number) for name, number in numbers.items()}
    marked: _Control | None = None
    for each in form.controls:
        if each.type in _KEPT or _SECRET & set((each.attrs.get("autocomplete") or "").split()):
            value = None
        elif each.type in _CHOSEN:
            value = ""
        else:
            value = lines[each.name].pop(0)
        if refused and each.name == refused and marked is None and each.type not in (_CHOSEN | {"hidden"}):
            marked = each
            each.attrs["aria-invalid"] = "true"
            each.attrs["aria-describedby"] = f"{each.attrs.get('aria-describedby') or ''} {_WHY}".strip()
        edits += _edits(each, value, given)
        if marked is each:
            after = each.inside if each.tag == "input" else page.index(">", each.end) + 1
            edits.append((after, after, f'<span class="wrong" id="{_WHY}">{escape(why)}</span>'))
    label = None if marked is None else read.labels.get(marked.attrs.get("id") or "", "").strip() or None
    return Refilled(_edited(page, edits), label)


def _meant(forms: list[_Form], typed: Mapping[str, str]) -> _Form | None:
    """Of several forms with one address the one with the same hidden fields."""
    for form in forms:
        hidden = [each for each in form.controls if each.type == "hidden" and each.name != "csrf"]
        if all(each.value in typed.get(each.name, "").split("\n") for each in hidden):
            return form
    return forms[0] if forms else None


def _parts(value: str, number: int) -> list[str]:
    """The values of fields with one name; all of it in the first, if they cannot be told apart."""
    parts = value.split("\n")
    return parts if number > 1 and len(parts) == number else [value] + [""] * (number - 1)


def _edits(control: _Control, value: str | None, given: Mapping[str, str]) -> list[tuple[int, int, str]]:
    """`value` is None for a field that is not filled in."""
    if control.type in _CHOSEN and value is not None:
        control.attrs.pop("checked", None)
        if control.value in given.get(control.name, "\0").split("\n"):
            control.attrs["checked"] = None
    elif control.tag == "input" and value is not None:
        control.attrs["value"] = value
    edits = [(control.start, control.inside, _tag(control))]
    if control.tag == "textarea" and value is not None:
        edits.append((control.inside, control.end, "\n" + escape(value)))
    if control.tag == "select" and value is not None and any(one.value == value for one in control.options):
        for one in control.options:
            written = "value" in one.attrs
            one.attrs.pop("selected", None)
            if written and one.value == value:
                one.attrs["selected"] = None
            edits.append((one.start, one.inside, _tag(one)))
    return edits


def _tag(control: _Control, **more: str | None) -> str:
    attrs = {**control.attrs, **more}
    written = (f" {name}" if value is None else f' {name}="{escape(value)}"' for name, value in attrs.items())
    return f"<{control.tag}{''.join(written)}>"


def _edited(page: str, edits: list[tuple[int, int, str]]) -> str:
    parts, place = [], 0
    for start, end, text in sorted(edits, key=lambda each: each[:2]):
        parts += [page[place:start], text]
        place = end
    return "".join([*parts, page[place:]])
