"""Lines of the process log: one record is one line, bounded, with transfer and trace, without what exceptions say."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from contracts.base.ids import new_id
from gateway.errors import GATEWAY_FAULT
from gateway.signals import lines, traces

FORMS = [lines.JsonLines("door-0"), lines.PlainTraces("%(asctime)s %(levelname)s %(name)s %(message)s")]


def record(message: str, *given: object, error: BaseException | None = None, **more: object) -> logging.LogRecord:
    info: Any = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("lgsp.x", logging.INFO, "x.py", 1, message, given, info)
    made.__dict__ |= more
    return made


async def test_a_line_names_transfer_and_trace() -> None:
    transfer = new_id(0)
    here = traces.enter(transfer, system="y-te")
    told = json.loads(FORMS[0].format(record("refused: %s", "grant.missing", code="grant.missing")))
    assert told["time"].endswith("Z") and told["pid"] > 0
    assert {name: told[name] for name in told if name not in ("time", "pid", "machine")} == {
        "level": "INFO",
        "logger": "lgsp.x",
        "process": "door-0",
        "message": "refused: grant.missing",
        "code": "grant.missing",
        "transfer": transfer,
        "trace": here.trace,
        "span": here.span,
        "system": "y-te",
    }
    assert FORMS[1].format(record("x")).endswith(f"lgsp.x x [transfer={transfer} trace={here.trace}]")


@pytest.mark.attack("lines in the log")
@pytest.mark.parametrize("form", FORMS)
async def test_a_record_is_one_bounded_line(form: logging.Formatter) -> None:
    for text in ("a\nb", "a\r\nb", "a\u2028b", "a\x1b[31mb", "\udcff", '"}\n{"level": "x"}', "ă" * 100_000, "%s"):
        traces.enter(text[:50] + "\n", system=text[:50])
        line = form.format(record("%s", text))
        assert len(line.splitlines()) == 1 and len(line) < 4 * lines.MOST and "\x1b" not in line
        if isinstance(form, lines.JsonLines):
            assert isinstance(json.loads(line), dict)


async def test_tracebacks_have_no_words_of_exceptions() -> None:
    said = "Nguyễn " + "Văn A"
    try:
        try:
            raise ValueError(said)
        except ValueError as inner:
            raise GATEWAY_FAULT(transfer="t", fault="x") from inner
    except Exception as error:
        told = json.loads(FORMS[0].format(record("fault", error=error)))
    assert "Nguyễn" not in json.dumps(told, ensure_ascii=False) and "builtins.ValueError" in told["traceback"]
    assert told["code"] == "gateway.fault"


def test_the_supervisor_says_the_same_way() -> None:
    assert lines.said("supervisor", "door-0 ended", lines.TEXT) == "door-0 ended"
    assert json.loads(lines.said("supervisor", "a\nb", lines.JSON))["message"] == "a\\u000ab"
