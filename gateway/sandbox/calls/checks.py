"""What was checked of a call, in order, and how far it came.

Invariant: a check is `passed` only if the log or the refusal shows that the gateway made it before the one that failed.
What neither shows is `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from contracts.base.words import Words, read

_FILE: Final = Path(__file__).with_name("checks.yaml")
_PROVEN: Final = "signature"  # the last check of who calls
_UNSEALED: Final = ("signature.", "channel.mismatch")  # codes of a sealed body too
State = Literal["passed", "failed", "not-reached", "unknown", "under-way", "not-needed"]
Facts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Check:
    """`facts`: what it found, by a name that the page words."""

    id: str
    name: Words
    state: State
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a call went. `kind`: refusal, intent or repeat. `code`: of the refusal or of the failed outcome.

    `proven`: certificate and signature named one system. `ended`: an outcome is in the log.
    """

    face: str
    kind: str
    code: str | None = None
    proven: bool = False
    ended: bool = False
    called: bool = True  # whether a provider is called; else the gateway answers by itself


@cache
def order(face: str) -> tuple[str, ...]:
    return tuple(_data()[_face(face)])


@cache
def of_code(face: str, code: str) -> str | None:
    """The check that refuses with this code: by the whole code, else by how it begins. None for none of them."""
    rules: Mapping[str, list[str]] = _data()[_face(face)]
    for check, codes in rules.items():
        if code in codes:
            return check
    return next((check for check, codes in rules.items() if code.partition(".")[0] + "." in codes), None)


def checks(course: Course, facts: Mapping[str, Facts]) -> list[Check]:
    """All checks in order. `facts` by check."""
    names: Mapping[str, Any] = _data()["checks"]
    return [
        Check(id, Words(**names[id]), state, facts.get(id, {}) if state in ("passed", "failed") else {})
        for id, state in zip(order(course.face), _states(course), strict=True)
    ]


def _states(course: Course) -> list[State]:
    known, count = order(course.face), len(order(course.face))
    if course.kind == "repeat":
        return _until(count, known.index("replay") + 1)
    if course.kind == "intent":
        return _of_transfer(course)
    failed = _failed(course)
    if failed is None:
        proven = known.index(_PROVEN) + 1 if course.proven else 0
        return [*(["passed"] * proven), *(["unknown"] * (count - proven))]  # type: ignore[list-item]
    states = _until(count, failed)
    states[failed] = "failed"
    return states


def _of_transfer(course: Course) -> list[State]:
    """The intent is in the log: all before the delivery passed."""
    known, count = order(course.face), len(order(course.face))
    if not course.called and course.code is None:
        kept = known.index("delivery")
        return [*(["passed"] * kept), *(["not-needed"] * (count - kept))]  # type: ignore[list-item]
    if course.ended and course.code is None:
        return ["passed"] * count
    failed = _failed(course) if course.code is not None else None
    delivery = known.index("delivery")
    failed = delivery if failed is None else max(failed, delivery)
    states = _until(count, failed)
    states[failed] = "failed" if course.ended or course.code is not None else "under-way"
    return states


def _failed(course: Course) -> int | None:
    if course.code is None:
        return None
    check = of_code(course.face, course.code)
    if course.proven and course.code.startswith(_UNSEALED) and course.face != "soap":
        check = "decryption"  # the signature of the call was proven: this is the one within its body
    return None if check is None else order(course.face).index(check)


def _until(count: int, place: int) -> list[State]:
    return [*(["passed"] * place), *(["not-reached"] * (count - place))]  # type: ignore[list-item]


def _face(face: str) -> str:
    return "soap" if face == "soap" else "rest"


@cache
def _data() -> dict[str, Any]:
    return read(_FILE)
