"""`lgsp doctor`: what is weak in an instance, grave things first, in both languages."""

from __future__ import annotations

import time
from typing import Any

from gateway.commands.output import emit
from gateway.doctor import examine
from gateway.doctor.findings import Finding, kinds
from gateway.settings import Settings


def doctor(settings: Settings, as_json: bool) -> None:
    """Ends with 1 where something grave is found."""
    every = examine(settings, time.time)
    grave = sum(each.kind.grave for each in every)
    listed = [_json(each) for each in every]
    lines = [_lines(each) for each in every]
    lines.append(
        f"{grave} nghiêm trọng, {len(every) - grave} nên sửa, trong {len(kinds())} điều được xét / "
        f"{grave} grave, {len(every) - grave} to be mended, of {len(kinds())} things looked for"
    )
    emit(
        {"ok": not grave, "grave": grave, "findings": listed, "looked_for": sorted(kinds())}, as_json, "\n".join(lines)
    )


def _json(each: Finding) -> dict[str, Any]:
    kind = each.kind
    texts = {language: _words(each, language) for language in ("vi", "en")}
    return {"code": kind.code, "grave": each.kind.grave, **texts, "facts": each.facts}


def _words(each: Finding, language: Any) -> dict[str, str]:
    kind, facts = each.kind, each.facts
    return {
        "what": kind.what.say(language, facts),
        "why": kind.why.say(language, facts),
        "next": kind.next.say(language, facts),
    }


def _lines(each: Finding) -> str:
    mark = "!!" if each.kind.grave else " ~"
    lines = [f"{mark} {each.kind.code}"]
    for language in ("vi", "en"):
        words = _words(each, language)
        lines.append(f"     {words['what']}. {words['why']}\n       → {words['next']}")
    return "\n".join(lines)
