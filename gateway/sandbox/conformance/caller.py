"""Judges a calling system by the calls that it made in a run (`trial` wrote them down).

Invariant: what cannot be seen from calls is never counted as passed. `NOT_SEEN` says what that is.
Invariant: a call that the sandbox refused on purpose, or could not carry, is no fault of the caller; nor is one that
came again under its id while the first was in hand (`message.in-progress`): how long that takes is not the caller's.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.base.words import Words, WordsFile
from gateway.exchange.errors import MESSAGE_IN_PROGRESS
from gateway.sandbox.conformance.cases import Case, Suite
from gateway.sandbox.conformance.results import Result
from gateway.sandbox.conformance.rules import Rule, rules
from gateway.sandbox.conformance.trial import CALLS, RETRY_AFTER

_words: Final = WordsFile(__file__, "caller_words.yaml")
_NONCE: Final = re.compile(r';nonce="([^"]{1,200})"')
_EARLY: Final = 0.9  # of Retry-After: clocks of both sides are read at different moments


@dataclass(frozen=True, slots=True)
class Came:
    """One call. `change`: the special answer that it got; `id`: of the message; `digest`: of the body as it came."""

    at: float
    step: str
    kind: str
    contract: str
    operation: str
    id: str
    transfer: str
    change: str
    status: int
    code: str
    branch: str
    findings: tuple[str, ...]
    digest: str
    request: str
    answer: str

    @property
    def taken(self) -> bool:
        return not self.code and 200 <= self.status < 300

    @property
    def has_id(self) -> bool:
        """Whether the message has an id of its own: a query's is the nonce of its signature."""
        return bool(self.id) and self.id != self.nonce

    @property
    def nonce(self) -> str:
        found = _NONCE.search(self.request)
        return "" if found is None else found[1]


Judged = tuple[Words, Came | None, bool]  # what is wrong, the call that shows it, and whether it could be judged


def read_calls(place: Path, run: str) -> list[Came]:
    """The calls of a run, in the order in which they came."""
    try:
        lines = (place / CALLS).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = [json.loads(each) for each in lines]
    return sorted((_came(each) for each in found if each["run"] == run), key=lambda each: each.at)


def _came(of: Mapping[str, Any]) -> Came:
    names = {name: of[name] for name in Came.__slots__ if name != "findings"}
    return Came(**names, findings=tuple(of["findings"]))


def judge(suite: Suite, calls: Sequence[Came]) -> list[Result]:
    """The results in the order of the cases."""
    mine = [each for each in calls if each.contract == suite.contract]
    return [_result(case, [each for each in mine if each.kind == case.kind]) for case in suite.cases]


def not_seen() -> list[Words]:
    """What no run can see of a caller."""
    return [_words(each) for each in _words if each.startswith("not-seen-")]


def _result(case: Case, calls: list[Came]) -> Result:
    rule = case.rule
    of = [each for each in calls if not rule.step or each.step == rule.step]
    if not of:
        return Result(case, "not-judged", 0.0, _words("no-call"))
    judged = _refusals(rule, of) if rule.expected == "never" else _JUDGES[rule.expected](case, of)
    seconds = of[-1].at - of[0].at
    if judged is None:
        return Result(case, "passed", seconds)
    wrong, call, could = judged
    shown = ("", "", "") if call is None else (call.request, call.answer, as_curl(call))
    return Result(case, "failed" if could else "not-judged", seconds, wrong, shown[0].encode(), shown[1].encode(),
                  shown[2])  # fmt: skip


# --- all calls --------------------------------------------------------------------------------------------------------
def _refusals(rule: Rule, calls: list[Came]) -> Judged | None:
    for each in calls:
        if each.code in ("", MESSAGE_IN_PROGRESS.code) or each.change or each.branch == "ours":
            continue
        if _broken(each.code) == rule.id:
            found = f" ({'; '.join(each.findings)})" if each.findings else ""
            return _words("refused", code=each.code, status=each.status, found=found), each, True
    if rule.id == "nonce":
        used: set[str] = set()
        for each in calls:
            if each.nonce and each.nonce in used:
                return _words("nonce-twice"), each, True
            used.add(each.nonce)
    return None


def _broken(code: str) -> str:
    """The rule that a refusal breaks."""
    for rule in rules("caller").values():
        if any(code == each or each[-1] in ".-" and code.startswith(each) for each in rule.codes):
            return rule.id
    return "otherwise"


def _accepted(case: Case, calls: list[Came]) -> Judged | None:
    of = [each for each in calls if each.operation == case.operation]
    if not of:
        return _words("no-call"), None, False
    if any(each.taken for each in of):
        return None
    return _words("none-taken", code=of[-1].code or of[-1].status), of[-1], False  # the rule that it breaks says more


# --- steps ------------------------------------------------------------------------------------------------------------
def _again(case: Case, calls: list[Came]) -> Judged | None:
    """After the special answer, the message comes again under its id."""
    first = _special(case, calls)
    if first is None:
        return _words("no-special"), None, False
    later = calls[calls.index(first) + 1 :]
    if not later:
        return _words("not-asked-again" if case.rule.group == "answers" else "not-again"), first, True
    return _other_id(first, later)


def _same_id(case: Case, calls: list[Came]) -> Judged | None:
    """Every further call of the step has the id of the first."""
    first = _special(case, calls) if case.rule.step != "repeat" else next((each for each in calls if each.id), None)
    if first is None:
        return _words("no-special"), None, False
    later = calls[calls.index(first) + 1 :]
    return _other_id(first, later) if later else (_words("no-repeat"), None, False)


def _other_id(first: Came, later: Sequence[Came]) -> Judged | None:
    """Other messages may come in between: the first one has to come again under its id, and under no other."""
    if not first.has_id:
        return None
    same = any(each.id == first.id for each in later)
    for each in later:
        if each.id != first.id and each.digest == first.digest:
            return _words("other-id", first=first.id, second=each.id or "–"), each, True
    if not same:
        return _words("other-message", first=first.id, second=later[0].id or "–"), later[0], True
    return None


def _waits(case: Case, calls: list[Came]) -> Judged | None:
    """The message comes no earlier than Retry-After says, after each special answer."""
    if _special(case, calls) is None:
        return _words("no-special"), None, False
    for number, before in enumerate(calls):
        after = _next(before, calls[number + 1 :]) if before.change else before
        if after is None:
            return _words("no-repeat"), None, False
        if after is not before and after.at - before.at < _EARLY * RETRY_AFTER:
            early = f"{after.at - before.at:.2f}"
            return _words("too-early", status=before.status, after=early, seconds=RETRY_AFTER), after, True
    return None


def _next(before: Came, later: Sequence[Came]) -> Came | None:
    """When the message came again: under its id, with its content, or as whatever came next."""
    for each in later:
        if each.digest == before.digest or before.has_id and each.id == before.id:
            return each
    return later[0] if later else None


def _stops(case: Case, calls: list[Came]) -> Judged | None:
    first = _special(case, calls)
    if first is None:
        return _words("no-special"), None, False
    for each in calls[calls.index(first) + 1 :]:
        if each.id == first.id or each.digest == first.digest:
            return _words("not-stopped", status=first.status), each, True
    return None


def _special(case: Case, calls: list[Came]) -> Came | None:
    return next((each for each in calls if each.change == case.rule.step), None)


_JUDGES: Final[Mapping[str, Callable[[Case, list[Came]], Judged | None]]] = {
    "accepted": _accepted,
    "same-id": _same_id,
    "again": _again,
    "waits": _waits,
    "stops": _stops,
}


def as_curl(call: Came) -> str:
    """The call as it came, as one command for the identity folder. Token and signature are to be made anew."""
    head, _, body = call.request.partition("\n\n")
    first, *fields = head.split("\n")
    method, _, address = first.partition(" ")
    words = ["curl", "--silent", "--include", "--request", method, "--cacert", "ca.crt", "--cert", "tls.crt"]
    words += ["--key", "tls.key"]
    for each in [*fields, *(["authorization: Bearer $TOKEN"] if call.kind == "rest" else [])]:
        if not each.startswith(("host:", "content-length:")):
            words += ["--header", each]
    return shlex.join([*words, *(["--data-binary", body] if body else []), address])
