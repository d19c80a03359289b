"""Paths of mapping tables as lists of steps.

A path has child steps, `[]` for repetition, `@x` for an attribute, and at most one key predicate per step.
XML: `cap:info[]/cap:area[]/cap:areaDesc`, `dt:Muc[@khoa='email']`, `cap:geocode[cap:valueName='x']/cap:value`,
`dt:A[]/@ma`, `dt:A[]/text()`. JSON: `chiTiet[].khuVuc[].diaDiem`. `{}` stands for members or elements whose names are
keys: `thongSo.{}`. A JSON name with a dot stands between quotes: `Datastream.'@iot.id'`. Further brackets are lists in
lists and places in a list: `[].ten` (the message is a list), `coordinates[][0]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.wire.xmltext import NCNAME

ANY: Final = "*"  # the name of the members of a keyed list


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `name` is the Clark name in XML, the field in JSON; `shown` is the text in the table.

    In brackets of a list in JSON the name is empty, or the number of the place.
    """

    name: str
    shown: str
    many: bool = False
    attribute: bool = False
    text: bool = False
    key_name: str | None = None
    key_value: str | None = None
    entry: bool = False
    in_list: bool = False  # in brackets, after a list or at the beginning


XML: Final = "http://www.w3.org/XML/1998/namespace"  # the prefix xml needs no declaration
_QNAME: Final = rf"(?:(?P<p>{NCNAME}):)?(?P<n>{NCNAME}|\{{\}})"
_XML_STEP: Final = re.compile(
    rf"(?P<at>@)?{_QNAME}(?:(?P<many>\[\])|\[(?P<ka>@)?(?:(?P<kp>{NCNAME}):)?(?P<kn>{NCNAME})='(?P<kv>[^']*)'\])?"
)
_JSON_STEP: Final = re.compile(r"(?:'(?P<q>[^'\[\]]+)'|(?P<n>[^.'\[\]\s]+))(?P<many>\[\])?")
_JSON_BRACKETS: Final = re.compile(r"\[(?P<place>0|[1-9][0-9]?)?\]")
_JSON_LAST: Final = re.compile(r"\.?(?:'[^']*'|[^.]*)$")


def xml_steps(path: str, namespaces: Mapping[str, str]) -> list[Step] | str:
    """The steps of an XML path, or the form that was expected."""
    steps: list[Step] = []
    at = 0
    while at < len(path):
        if steps:
            if path[at] != "/" or steps[-1].attribute or steps[-1].text:
                return "child steps with / between them; an attribute or text() only at the end"
            at += 1
        if path.startswith("text()", at):
            steps.append(Step("text()", "text()", text=True))
            at += 6
            continue
        match = _XML_STEP.match(path, at)
        if match is None:
            return "an element, @attribute or text(), with [] or one predicate [x='…'] or [@x='…']"
        for prefix in (match["p"], match["kp"]):
            if prefix is not None and prefix not in namespaces and prefix != "xml":
                return f"a prefix of namespaces, not {prefix}"
        if match["ka"] and match["kp"]:
            return "a key attribute without a namespace"
        if match["at"] and (match["many"] or match["kn"]):
            return "an attribute without [] or predicate"
        key = (
            None
            if match["kn"] is None
            else ("@" if match["ka"] else "") + _clark(match["kp"], match["kn"], namespaces, bool(match["ka"]))
        )
        entry = match["n"] == "{}"
        if entry and (match["at"] or match["many"] or match["kn"]):
            return "{} alone: it stands for elements of any name"
        name = _clark(match["p"], ANY if entry else match["n"], namespaces, bool(match["at"]))
        steps.append(
            Step(
                name=name,
                shown=match[0],
                many=bool(match["many"]) or entry,
                attribute=bool(match["at"]),
                key_name=key,
                key_value=match["kv"],
                entry=entry,
            )
        )
        at = match.end()
    if not steps:
        return "at least one element, or text() for that of the root"
    return steps


def _clark(prefix: str | None, name: str, namespaces: Mapping[str, str], attribute: bool) -> str:
    if prefix is None and (attribute or "" not in namespaces):
        return name
    return f"{{{XML if prefix == 'xml' else namespaces[prefix or '']}}}{name}"


def json_steps(path: str) -> list[Step] | str:
    """The steps of a JSON path, or the form that was expected."""
    steps: list[Step] = []
    at = 0
    while at <= len(path):
        if at or not path.startswith("["):
            match = _JSON_STEP.match(path, at)
            if match is None:
                return _JSON_FORM
            entry = match[0] == "{}"
            steps.append(
                Step(ANY if entry else match["q"] or match["n"], match[0], bool(match["many"]) or entry, entry=entry)
            )
            at = match.end()
        while (brackets := _JSON_BRACKETS.match(path, at)) is not None:
            place = brackets["place"]
            steps.append(Step(place or "", brackets[0], place is None, in_list=True))
            at = brackets.end()
        if path[at : at + 1] not in ("", "."):
            return _JSON_FORM
        at += 1
    return steps


_JSON_FORM: Final = "names with a dot between them, [] for a list; a name with a dot in it between quotes"


def above(path: str, is_xml: bool) -> str:
    """The path without its last step."""
    return path.rpartition("/")[0] if is_xml else _JSON_LAST.sub("", path, count=1)
