"""The results of a run, as data: JSON for programs, JUnit XML for build servers."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

from contracts.base.times import rfc3339
from contracts.base.words import Words
from gateway.sandbox.conformance.cases import Case, Suite

Verdict = Literal["passed", "failed", "not-judged"]
_SHOWN = 100_000  # bytes of a request or an answer in a report


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case. `request` and `answer` are the bytes that travelled; `repeat`: how to send it alone."""

    case: Case
    verdict: Verdict
    seconds: float
    wrong: Words | None = None
    request: bytes = b""
    answer: bytes = b""
    repeat: str = ""

    def to_json(self, *, traffic: bool = False) -> dict[str, Any]:
        """`traffic`: with what travelled also where nothing is wrong."""
        shown: dict[str, Any] = {
            "id": self.case.id,
            "group": self.case.rule.group,
            "title": {"vi": self.case.title.vi, "en": self.case.title.en},
            "verdict": self.verdict,
            "seconds": round(self.seconds, 3),
        }
        if traffic or self.wrong is not None:
            shown |= {
                "expected": self.case.expected,
                "rule": self.case.rule.id,
                "source": self.case.rule.source,
                "request": as_text(self.request),
                "answer": as_text(self.answer),
                "repeat": self.repeat,
            }
        if self.wrong is not None:
            shown |= {
                "wrong": {"vi": self.wrong.vi, "en": self.wrong.en},
                "change": {"vi": self.case.rule.mend.vi, "en": self.case.rule.mend.en},
            }
        return shown


@dataclass(frozen=True, slots=True)
class Software:
    """What was tried."""

    name: str
    version: str
    system: str
    agency: str


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run. It passed if every case of the whole suite passed."""

    suite: Suite
    software: Software
    started: float  # Unix time
    seconds: float
    results: tuple[Result, ...]
    not_seen: tuple[Words, ...] = ()  # what no run of this role can see

    @property
    def counts(self) -> dict[Verdict, int]:
        counted = Counter(each.verdict for each in self.results)
        return {"passed": counted["passed"], "failed": counted["failed"], "not-judged": counted["not-judged"]}

    @property
    def whole(self) -> bool:
        return {each.case.id for each in self.results} == {each.id for each in self.suite.cases}

    @property
    def failed(self) -> bool:
        """Whether some case did not pass, also where it could not be judged."""
        return self.counts["passed"] < len(self.results)

    @property
    def passed(self) -> bool:
        return bool(self.results) and self.whole and self.counts["passed"] == len(self.results)

    def to_json(self, *, traffic: bool = False) -> dict[str, Any]:
        return {
            "contract": self.suite.contract,
            "contractVersion": self.suite.version,
            "contractDigest": self.suite.digest,
            "role": self.suite.role,
            "software": {"name": self.software.name, "version": self.software.version},
            "system": self.software.system,
            "agency": self.software.agency,
            "started": rfc3339(self.started),
            "seconds": round(self.seconds, 3),
            "passed": self.passed,
            "whole": self.whole,
            "counts": self.counts,
            "notSeen": [{"vi": each.vi, "en": each.en} for each in self.not_seen],
            "results": [each.to_json(traffic=traffic) for each in self.results],
        }

    def to_junit(self) -> str:
        """JUnit XML, as build servers read it: a suite for each group."""
        lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites name={quoteattr(self.suite.contract)}>"]
        for group in dict.fromkeys(each.case.rule.group for each in self.results):
            of = [each for each in self.results if each.case.rule.group == group]
            failed = sum(each.verdict == "failed" for each in of)
            skipped = sum(each.verdict == "not-judged" for each in of)
            lines.append(
                f'<testsuite name="{group}" tests="{len(of)}" failures="{failed}" errors="0" skipped="{skipped}" '
                f'time="{sum(each.seconds for each in of):.3f}" timestamp="{rfc3339(self.started)}">'
            )
            lines += [_testcase(each, self.suite.contract) for each in of]
            lines.append("</testsuite>")
        return "\n".join([*lines, "</testsuites>", ""])


def _testcase(result: Result, contract: str) -> str:
    head = f'<testcase classname={quoteattr(contract)} name={quoteattr(result.case.id)} time="{result.seconds:.3f}">'
    inner = ""
    if result.wrong is not None:
        what = quoteattr(visible(result.wrong.en))
        if result.verdict == "failed":
            rule = result.case.rule
            told = f"{rule.source}\n{rule.mend.en}\n\n{as_text(result.request)}\n\n{as_text(result.answer)}\n"
            inner = f'<failure type="{rule.id}" message={what}>{escape(visible(told))}</failure>'
        else:
            inner = f"<skipped message={what}/>"
    return f"{head}{inner}</testcase>"


def as_text(raw: bytes) -> str:
    """What travelled, for people: text as it is, other bytes in base64, cut off where it is very long."""
    cut = raw[:_SHOWN]
    try:
        text = cut.decode("utf-8", "strict" if len(raw) <= _SHOWN else "ignore")
    except UnicodeDecodeError:
        text = "base64: " + base64.b64encode(cut).decode("ascii")
    return text if len(raw) <= _SHOWN else f"{text}… ({len(raw)} bytes)"


def visible(text: str) -> str:
    """Without the characters that XML 1.0 does not allow."""
    return "".join(each if each in "\t\n\r" or " " <= each <= "\ud7ff" or "\ue000" <= each <= "\ufffd" or
                   each >= "\U00010000" else "\ufffd" for each in text)  # fmt: skip
