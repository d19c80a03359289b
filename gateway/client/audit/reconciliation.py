"""Reads the daily statement of an agency's own message counts, for `POST /audit/reconciliation` and from files.

A day is a civil day in Vietnam. `sent` counts messages that the gateway acknowledged (200 or 202), by the day of
acceptance. `received` counts messages that the system answered successfully, by the day of the answer. A repeated
message counts once. Listed messages make differences nameable: `sent` by message id, `received` by `Lgsp-Transfer`.
Invariant: nothing here judges the counts; it only reads them.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

from contracts.base.errors import Finding
from gateway.client.answers import Answer

SENT: Final = "sent"
RECEIVED: Final = "received"
PATH: Final = "/audit/reconciliation"
_FIELDS: Final = ("system", "contract", "operation", "direction")
_DIVIDERS: Final = (",", ";", "\t")
_MOST: Final = 1_000_000_000
_LONGEST: Final = 300  # the id of a message
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class BadStatement(ValueError):
    """A malformed statement; `findings` name each place."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(f"{each.here}: {each.rule} ({each.expected})" for each in findings[:5]))
        self.findings: Final = tuple(findings)


class Key(NamedTuple):
    """The dimensions of a count."""

    system: str
    contract: str
    operation: str
    direction: str


@dataclass(frozen=True, slots=True)
class Claim:
    """`messages` are the system's message ids, or `digests` their keyed hashes; both None for a bare count."""

    accepted: int
    messages: tuple[str, ...] | None = None
    digests: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    day: date
    claims: Mapping[Key, Claim]
    agency: str | None = None  # None: that of the caller

    def to_json(self) -> dict[str, Any]:
        counts = []
        for key, claim in self.claims.items():
            lists = {"messages": claim.messages, "digests": claim.digests}
            counts.append(
                {
                    **key._asdict(),
                    "accepted": claim.accepted,
                    **{name: list(each) for name, each in lists.items() if each is not None},
                }
            )
        return ({} if self.agency is None else {"agency": self.agency}) | {
            "day": self.day.isoformat(),
            "counts": counts,
        }


def from_json(value: Any) -> Statement:
    """Raises `BadStatement` with all findings."""
    findings: list[Finding] = []
    if not isinstance(value, Mapping) or not isinstance(value.get("counts"), list):
        raise BadStatement([Finding("counts", "", _kind(value), "type", "an object with `day` and the list `counts`")])
    day = _day(value.get("day"), findings)
    claims: dict[Key, Claim] = {}
    for at, item in enumerate(value["counts"]):
        _read(f"counts.{at}", item, claims, findings)
    agency = value.get("agency")
    if agency is not None and not isinstance(agency, str):
        findings.append(Finding("agency", "", _kind(agency), "type", "text"))
    if findings or day is None:
        raise BadStatement(findings)
    return Statement(day, claims, agency)


def decoded(raw: bytes) -> str:
    """The text of a file: UTF-8, or UTF-16 with a byte order mark, as spreadsheets write it."""
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = raw[: wrong.start].count(b"\n") + 1
        wanted = "UTF-8, or UTF-16 with its mark; a spreadsheet calls it CSV UTF-8"
        raise BadStatement([Finding(f"line {line}", "", "bytes in another encoding", "encoding", wanted)]) from None


def from_csv(text: str, day: date | None, agency: str | None = None) -> Statement:
    """Rows `system,contract,operation,direction,accepted`; or one row a message, with `message` or `digest` last.

    The delimiter of the first line holds: comma, semicolon (spreadsheets with Vietnamese settings) or tab.
    """
    if day is None:
        raise BadStatement([Finding("day", "", "nothing", "required", "the day, beside a table")])
    text = text.removeprefix("\ufeff")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_divider(text))
    try:
        claims, findings = _table(reader)
    except csv.Error as error:
        raise BadStatement([Finding(f"line {reader.line_num + 1}", "", "text", "csv", str(error))]) from error
    if findings:
        raise BadStatement(findings)
    return Statement(day, claims, agency)


def _divider(text: str) -> str:
    head = text.partition("\n")[0]
    return max(_DIVIDERS, key=head.count)


def _table(reader: Any) -> tuple[dict[Key, Claim], list[Finding]]:
    names = [each.strip().lower() for each in next(reader, [])]
    counted = [each for each in ("accepted", "message", "digest") if each in names]
    if len(counted) != 1 or any(names.count(each) != 1 for each in (*_FIELDS, *counted)):
        wanted = f"{', '.join(_FIELDS)}, and one of accepted, message, digest, each once"
        raise BadStatement([Finding("line 1", "", ", ".join(names)[:200] or "nothing", "columns", wanted)])
    findings: list[Finding] = []
    listed: dict[Key, dict[str, None]] = {}
    claims: dict[Key, Claim] = {}
    for line in reader:
        row = [each.strip() for each in line]
        if not any(row):
            continue
        here = f"line {reader.line_num}"
        if len(row) > len(names) and any(row[len(names) :]):
            findings.append(
                Finding(here, "", f"{len(row)} cells", "columns", f"{len(names)} cells, as in the first line")
            )
            continue
        cells = dict.fromkeys((*_FIELDS, counted[0]), "") | dict(zip(names, row, strict=False))
        if counted == ["accepted"]:
            number = cells["accepted"]
            _read(
                here,
                cells | {"accepted": int(number) if _NUMBER.fullmatch(number) else number or None},
                claims,
                findings,
            )
        elif (key := _key(here, cells, findings)) is not None:
            identifier = cells[counted[0]]
            if counted == ["digest"] and _DIGEST.fullmatch(identifier) is None:
                findings.append(Finding(_at(here, "digest"), "", _kind(identifier), "format", "64 hexadecimal digits"))
            elif not 0 < len(identifier) <= _LONGEST:
                findings.append(
                    Finding(
                        _at(here, "message"),
                        "",
                        _kind(identifier),
                        "required",
                        f"the id of a message, at most {_LONGEST} characters",
                    )
                )
            listed.setdefault(key, {})[identifier] = None
    for key, ids in listed.items():
        claims[key] = Claim(len(ids), **{f"{counted[0]}s": tuple(ids)})
    return claims, findings


def comparison(answer: Answer) -> dict[str, Any]:
    """The comparison in an answer. Raises ValueError for anything else."""
    content = answer.json()
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("differences"), int)
        or not isinstance(content.get("lines"), list)
    ):
        raise ValueError("no comparison")
    return content


def _read(here: str, item: Any, claims: dict[Key, Claim], findings: list[Finding]) -> None:
    if not isinstance(item, Mapping):
        findings.append(Finding(here, "", _kind(item), "type", "an object"))
        return
    key = _key(here, item, findings)
    lists = {name: _list(_at(here, name), item.get(name), findings) for name in ("messages", "digests")}
    listed = [each for each in lists.values() if each is not None]
    accepted = item.get("accepted", len(listed[0]) if listed else None)
    if isinstance(accepted, bool) or not isinstance(accepted, int) or not 0 <= accepted <= _MOST:
        findings.append(Finding(_at(here, "accepted"), "", _kind(accepted), "type", f"a whole number, 0 to {_MOST}"))
    elif len(listed) > 1 or listed and len(listed[0]) != accepted:
        findings.append(
            Finding(_at(here, "accepted"), "", str(accepted), "agrees", "as many as the one list holds, each once")
        )
    elif lists["digests"] is not None and not all(map(_DIGEST.fullmatch, lists["digests"])):
        findings.append(Finding(_at(here, "digests"), "", "text", "format", "64 hexadecimal digits each"))
    elif key is not None and key in claims:
        findings.append(
            Finding(here, "", " ".join(key), "unique", "one item of each system, contract, operation and direction")
        )
    elif key is not None:
        claims[key] = Claim(accepted, lists["messages"], lists["digests"])


def _key(here: str, item: Mapping[str, Any], findings: list[Finding]) -> Key | None:
    values = [item.get(name) for name in _FIELDS]
    for name, value in zip(_FIELDS, values, strict=True):
        if not isinstance(value, str) or not 0 < len(value) <= 200:
            findings.append(Finding(_at(here, name), "", _kind(value), "required", "text of 1 to 200 characters"))
            return None
    if item["direction"] not in (SENT, RECEIVED):
        findings.append(Finding(_at(here, "direction"), "", _kind(item["direction"]), "enum", f"{SENT} or {RECEIVED}"))
        return None
    return Key(*map(str, values))


def _list(here: str, value: Any, findings: list[Finding]) -> tuple[str, ...] | None:
    """The ids without repeats."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) and 0 < len(each) <= _LONGEST for each in value):
        findings.append(Finding(here, "", _kind(value), "type", f"a list of texts of 1 to {_LONGEST} characters"))
        return ()
    return tuple(dict.fromkeys(value))


def _day(value: Any, findings: list[Finding]) -> date | None:
    try:
        if isinstance(value, str) and len(value) == 10 and value >= "1970-01-02":  # Unix time starts there
            return date.fromisoformat(value)
    except ValueError:
        pass
    findings.append(Finding("day", "", _kind(value), "format", "a day such as 2026-11-24"))
    return None


def _at(here: str, name: str) -> str:
    """The location of a value, in a table row or a JSON item."""
    return f"{here}, column {name}" if here.startswith("line ") else f"{here}.{name}"


def _kind(value: Any) -> str:
    """The kind of a value, without quoting it."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    return "an object" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else "another number"
