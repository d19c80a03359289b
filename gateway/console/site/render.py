"""Renders templates in Vietnamese and English, under headers that allow no inline code and no other host.

Texts of pages are English in the templates. Their Vietnamese is in the gettext catalogue `console`
(`python -m gateway.cli.catalogue` takes new texts up).
"""

from __future__ import annotations

import gettext
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from contracts.base.errors import Failure
from contracts.base.phrases import vietnamese
from contracts.base.words import Language
from gateway.audit.search.steps import kind_words
from gateway.console.site import drawing
from security.grants.windows import civil, first_day, last_day

DOMAIN: Final = "console"
LOCALE: Final = Path(__file__).resolve().parents[2] / "locale"
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with `no-referrer` a form would be sent with `Origin: null`
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
    "cache-control": "no-store",
}
_FRACTION: Final = re.compile(r"\d+\.\d+")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d(T|\Z)")
_DAY_LENGTH: Final = len("2026-11-27")
_CODED: Final = re.compile(r"`([^`]+)`")
STATIC: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "feed.js": "text/javascript",
    "passkeys.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@cache
def environment(language: Language) -> Environment:
    made = Environment(
        loader=PackageLoader("gateway.console"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    translations = gettext.translation(DOMAIN, LOCALE, [language], fallback=True)
    made.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    made.filters["local"] = partial(local, language)
    made.filters["day"] = partial(day, language)
    made.filters["first_day"] = lambda since: day(language, first_day(since))
    made.filters["last_day"] = lambda until: day(language, last_day(until))
    made.filters["number"] = partial(number, language)
    made.filters["figure"] = partial(figure, language)
    made.filters["breakable"] = breakable
    made.filters["coded"] = coded
    made.filters["phrase"] = vietnamese if language == "vi" else str
    made.filters["kind"] = lambda kind: kind_words(kind).of(language)
    made.filters["said"] = lambda words: words.of(language)
    made.globals.update(
        language=language,
        other="en" if language == "vi" else "vi",
        bars=drawing.bars,
        sparkline=drawing.sparkline,
        version=version(),
        title_of=partial(_title, language),
        next_of=partial(_next, language),
    )
    return made


def render(template: str, language: Language, values: Mapping[str, Any]) -> str:
    return environment(language).get_template(template).render(values)


def local(language: Language, at: float | str) -> str:
    """A time in Vietnam, as its people write it."""
    text = civil(at, seconds=True)
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{day:%d/%m/%Y %H:%M:%S}" if language == "vi" else f"{day:%Y-%m-%d %H:%M:%S}"


def day(language: Language, text: str) -> str:
    """A day as `2026-11-27`, or a moment, as people write it; another text as it is."""
    if _DAY.match(text) is None:
        return text
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    if len(text) > _DAY_LENGTH:
        return local(language, text)
    return f"{at:%d/%m/%Y}" if language == "vi" else f"{at:%Y-%m-%d}"


def number(language: Language, value: float) -> str:
    """With separators of thousands and decimals as the language writes them."""
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return text.translate(str.maketrans(",.", ".,")) if language == "vi" else text


def figure(language: Language, value: object) -> str:
    """A figure of a note, with the decimals that it has there; another text as it is."""
    if isinstance(value, int):
        return number(language, value)
    text = "–" if value is None else str(value)
    return text.replace(".", ",") if language == "vi" and _FRACTION.fullmatch(text) is not None else text


def breakable(path: str) -> Markup:
    """A path that a narrow column breaks after its steps."""
    return Markup("<wbr>").join(re.split(r"(?<=[./])", path))


def coded(text: str) -> Markup:
    """A text whose parts between backquotes are what somebody types."""
    return Markup(_CODED.sub(r"<code>\1</code>", escape(text)))  # noqa: S704  it is escaped


@cache
def asset(name: str) -> bytes:
    return resources.files("gateway.console").joinpath("static", name).read_bytes()


@cache
def version() -> str:
    """Changes when a file of the site does, so that browsers do not keep an old one."""
    return hashlib.sha256(b"".join(map(asset, STATIC))).hexdigest()[:12]


def _title(language: Language, code: str) -> str:
    """What an error code is called; the code itself if it is none of ours."""
    from gateway.errors import every

    error = every().get(code)
    return code if error is None else error.title.of(language)


def _next(language: Language, code: str) -> str:
    """What to do about an error code; facts that are not known here are shown as "…". The catalogue is here too."""
    from gateway.errors import every

    error = every().get(code)
    return "" if error is None else error.next.say(language, {"catalogue": "/contracts"})


def failure_values(failure: Failure, language: Language) -> dict[str, Any]:
    return {
        "code": failure.code,
        "title": failure.title(language),
        "what": failure.what(language),
        "next": failure.next(language),
        "findings": failure.findings,
    }
