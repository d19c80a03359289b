"""Nothing that a stranger sends costs more than its length: every regular expression, and every reader of bytes and
texts by strangers.

The cost of doubled inputs is compared, in processor time of this thread, so that a busy machine changes nothing
(`growing`). A regular expression or a reader that nobody entered fails a test here: it has to be tried, or to be listed
with the reason why no stranger's text reaches it.
"""

from __future__ import annotations

import gc
import importlib
import random
import re
import time
from dataclasses import dataclass
from typing import Any, Final

import jsonschema_rs
import pytest

from contracts.base.phrases import vietnamese
from contracts.canonical.patterns import ENGINE, matcher, pattern_fault
from contracts.compiled.contract import CompiledContract
from contracts.compiled.loader import load
from contracts.faces.pages.pattern_words import words
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.mapping import times, value_formats
from examples.story.world import World
from tests.attacks.conftest import MUCH, Judge
from tests.attacks.growing import Superlinear, check_growth, check_pattern
from tests.attacks.ownpatterns import Site, odd_imports, sites, trees
from tests.attacks.ownreaders import OWN
from tests.attacks.raw import ask, of
from tests.attacks.reading import COVERED, TABLES, found, gather
from tests.size import FULL

gather()

# Regular expressions that only running code makes: what they are made of, or why no stranger's text meets them.
MADE: Final[dict[str, str]] = {
    "gateway.audit.verify.rows.instance:_like": "constants of the module, over values that the gateway itself wrote",
    "contracts.base.composing:_long_runs": "tried by the table of `form_c`",
    "contracts.compiled.format_file:_calls": "the methods of HTTP, over a contract's own file",
    "contracts.canonical.patterns:pattern_fault": "only compiled, for the words of its error: patterns of contracts run in `ENGINE`",  # noqa: E501
    "contracts.mapping.times:_expression": "tried by test_patterns_that_contracts_make",
    "contracts.mapping.value_formats:_between_thousands": "tried by test_patterns_that_contracts_make",
    "contracts.wire.attachments:Spool": "tried by the table of `Spool.restore`",
    "contracts.codecs.xml_fast_path:compile_fast_readers": "tried by test_patterns_that_contracts_make",
    "contracts.codecs.xml_fast_path:_apart": "tried by test_patterns_that_contracts_make",
    "contracts.codecs.xml_fast_path:_many": "tried by test_patterns_that_contracts_make",
    "contracts.codecs.xml_fast_path:_rows": "tried by test_patterns_that_contracts_make",
    "gateway.cli.common.language:_pattern": "messages of the parser of commands, over what its own user typed",
    "gateway.keys.keyring:Keyring": "names of our own files",
    "gateway.keys.keyring:next_generation": "names of our own files",
    "gateway.audit.verifier.check:_KNOWN": "names of the files of a package that a person checks by hand",
}
# Regular expressions that are not linear, and whose texts are short.
SHORT: Final[dict[str, str]] = {
    "contracts.codecs.cells.xlsxread:_LITERAL": "over a formatCode, of at most 255 characters",
    "bench.provider:_MESSAGE_ID": "over messages that the measurement itself makes",
}
# Where a pattern is handed to a library, how that uses it.
USED_BY_OTHERS: Final = {"contracts.importers.documents:module": {"match"}}
# The packages that write any.
WRITING: Final = ("adapters", "bench", "contracts", "gateway", "security")


@dataclass(frozen=True)
class Sources:
    sites: list[Site]
    odd: list[str]
    readers: set[str]


@pytest.fixture(scope="module")
def sources() -> Sources:
    """All sources, parsed once; not when they are collected, since that takes seconds, and every run collects this
    file."""
    parsed = trees()
    return Sources(sites(parsed), odd_imports(parsed), found(parsed))


@pytest.fixture(autouse=True, scope="module")
def collected() -> None:
    gc.collect()
    gc.freeze()  # the objects of other tests are not gone through again


# --- the measure itself -----------------------------------------------------------------------------------------------


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (rb'"(?:[^"\\]|\\.)*+"', "subn"),  # what stopped a door for minutes
        (r"(a+)+$", "match"),
        (r"(x+x+)+y", "search"),
        (r"a*b", "search"),
        (r"\s+$", "search"),
        (r"a.*b.*c", "match"),
        (r"<([^/>]+)>", "findall"),
    ],
)
def test_what_is_not_linear_is_seen(pattern: Any, method: str) -> None:
    with pytest.raises(Superlinear):
        check_pattern(re.compile(pattern, re.DOTALL), {method})


def test_a_reader_that_is_not_linear_is_seen() -> None:
    def read(raw: bytes) -> None:
        while raw and raw.count(b"a"):  # it looks through the whole rest each time
            raw = raw[1:]

    with pytest.raises(Superlinear):
        check_growth(read, lambda n: b"a" * n, first=2048)
    check_growth(lambda raw: raw.count(b"a"), lambda n: b"a" * n, first=2048)


# --- regular expressions ----------------------------------------------------------------------------------------------


def test_regular_expressions_come_by_one_way(sources: Sources) -> None:
    assert sources.odd == [], "import re, so that tests.attacks.ownpatterns finds what is compiled"


def test_every_regular_expression_is_tried_or_explained(sources: Sources) -> None:
    unknown = {site.key for site in sources.sites if site.pattern() is None} - set(MADE)
    assert not unknown, "compiled by running code alone: try them, or say in MADE why no stranger's text meets them"
    assert set(MADE) | set(SHORT) <= {site.key for site in sources.sites}, "explained, but no longer there"
    assert {site.key.partition(".")[0] for site in sources.sites} == set(WRITING), "each has a test below"


@pytest.mark.sampled("*", but=("contracts",))
@pytest.mark.attack("quadratic input")
@pytest.mark.parametrize("package", WRITING)
def test_regular_expressions(package: str, sources: Sources) -> None:
    """Each with the inputs on which it costs most, by each method that it is used by."""
    number = 0
    for site in sources.sites:
        pattern = site.pattern()
        if pattern is not None and site.key.startswith(package + ".") and site.key not in SHORT:
            number += check_pattern(pattern, _methods(site))
    assert number > 10


def _methods(site: Site) -> set[str]:
    return USED_BY_OTHERS.get(site.key) or site.methods or {"fullmatch", "search"}


@pytest.mark.attack("quadratic input")
def test_patterns_that_contracts_make(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the quick reader of XML makes of each message, and those of times in foreign shapes."""
    made: dict[tuple[str, int], re.Pattern[str]] = {}
    compile_ = re.compile

    class Recording:
        """`re`, as the module sees it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(re, name)

        @staticmethod
        def compile(pattern: str, flags: int = 0) -> re.Pattern[str]:
            return made.setdefault((pattern, flags), compile_(pattern, flags))

    usual = importlib.import_module("contracts.codecs.xml_fast_path")
    monkeypatch.setattr(usual, "re", Recording())
    for folder in catalogue_folders() if FULL else catalogue_folders()[:3]:
        bundle = Bundle.from_folder(folder)
        contract = CompiledContract(load(bundle), bundle.digest)
        for sample in contract.samples:
            codec = contract.codec("canonical")
            value = codec.read_json(sample.message, sample.canonical)
            if codec._xml[sample.message] is not None:
                codec.read(sample.message, codec.write_xml(sample.message, value), "xml")
    assert made
    short = sorted(made.values(), key=lambda each: len(each.pattern))
    for pattern in short if FULL else short[:: len(short) // 25 + 1]:
        whole = not pattern.pattern.startswith("<") or pattern.pattern.endswith(
            r"\1>"
        )  # a message, or what stands in an element; else items
        check_pattern(pattern, {"fullmatch" if whole else "findall"})
    for points, comma in (".,", ",."):
        check_pattern(value_formats._between_thousands(points, comma), {"fullmatch"})
    for shape in ("yyyyMMddHHmmss", "dd/MM/yyyy", "yyyy-MM-dd HH:mm", "dd.MM.yyyy", "H:mm d/M/yy"):
        check_pattern(times._expression(shape), {"fullmatch"})


# --- readers ----------------------------------------------------------------------------------------------------------


def test_every_reader_is_tried_or_explained(sources: Sources) -> None:
    explained = {name for names in OWN.values() for name in names}
    readers = sources.readers
    assert not readers - COVERED - explained, (
        "enter them in a table (tests/attacks/reading.py), or say in OWN why no stranger's bytes reach them"
    )
    assert not explained - readers, "explained, but no longer there"
    assert not explained & COVERED, "explained, although they are tried"
    for name in COVERED:
        module, _, place = name.partition(":")
        at: Any = importlib.import_module(module)
        for step in place.split("."):
            at = getattr(at, step)


# Readers with so many inputs that trying them takes more than three seconds: of the full lane alone.
DEAR = (
    "contracts.base.composing:form_c",
    "contracts.codecs.codec:Codec.read",
    "gateway.client.answers:Receipt.from_headers",
    "gateway.client.audit.reconciliation:from_json",
    "gateway.client.soap:content_of",
    "gateway.doors.api.validation:Parameter.read",
    "gateway.sample_client.fields:read_dictionary",
    "security.transparency.checkpoint:open_note",
)


@pytest.mark.sampled("*", but=DEAR)
@pytest.mark.attack("quadratic input")
@pytest.mark.parametrize("name", sorted(TABLES))
def test_readers(name: str) -> None:
    """Every reader of the table, with each of its inputs: four times the input costs about four times the time."""
    wrong = []
    for each in TABLES[name]():
        try:
            check_growth(each.read, each.make, largest=each.largest)
        except Superlinear as error:
            wrong.append(f"{each.name}: {error}")
    assert not wrong, wrong


# --- patterns of contracts --------------------------------------------------------------------------------------------


def _patterns() -> list[str]:
    found_: set[str] = set()
    for folder in catalogue_folders():
        found_ |= {
            match[1].encode().decode("unicode_escape")
            for match in re.finditer(r'"pattern":\s*"((?:[^"\\]|\\.)*)"', (folder / "schema.json").read_text("utf-8"))
        }
    return sorted(each for each in found_ if each.isascii())


@pytest.mark.attack("quadratic input")
@pytest.mark.parametrize(
    "pattern",
    [
        r"^(?=a)b$",
        r"^(?!a)b$",
        r"^(?<=a)b$",
        r"^(?<!a)b$",
        r"^(a)\1$",
        r"^(?P<n>a)(?P=n)$",
        r"^a++$",
        r"^(?>a)$",
        "^(((a{100}){100}){100})$",
        "^" + "a" * 5_000 + "$",
    ],
)
def test_what_the_engine_cannot_run_is_refused_at_check(pattern: str) -> None:
    """Look-around, references back and what grows too large are findings of `contract check`, in both languages."""
    why = pattern_fault(pattern)
    assert why is not None
    assert vietnamese(why) != why
    if any(mark in pattern for mark in ("(?=", "(?!", "(?<", "\\1", "(?P=", "(?>")):
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=ENGINE)


@pytest.mark.parametrize("pattern", _patterns())
def test_the_engine_accepts_what_the_one_before_accepted(pattern: str) -> None:
    """Of each pattern of the catalogue: what it takes, and what is one character away from that."""
    before = jsonschema_rs.Draft202012Validator(
        {"pattern": pattern}, pattern_options=jsonschema_rs.FancyRegexOptions()
    ).is_valid
    now, python, chance = matcher(pattern), re.compile(pattern[1:-1]), random.Random(pattern)
    some = [text for text, _ in zip(words(pattern, 0, 200), range(40), strict=False)]
    assert some
    taken = 0
    odd = ["", "\n", "\r\n", "٣", "Ａ", "ſ", "K", "\x00", "é", "𝄞", " ", "-"]
    for text in some:
        tries = [text, text + "\n", "\n" + text, text.upper(), text.lower()]
        for _ in range(20):
            at = chance.randrange(len(text) + 1)
            tries += [
                text[:at] + chance.choice(odd) + text[at:],
                text[:at] + text[at + 1 :],
                text[:at] + chance.choice(odd) + text[at + 1 :],
            ]
        for each in tries:
            assert now(each) == before(each) == (python.fullmatch(each) is not None), (pattern, each)
            taken += now(each)
    assert taken


# --- at a door --------------------------------------------------------------------------------------------------------

HELD: Final = {
    "a string of escaped quotes that does not end": b'"' + b'\\"' * 80_000,
    "the same after many commas": b"[" + b"," * 600_000 + b'"' + b'\\"' * 80_000,
    "the largest": b"," * 600_000 + b'"' + b'\\"' * 1_700_000,
    "strings of commas": b'["' + b'",",' * 700_000,
}


@pytest.mark.server
@pytest.mark.attack("quadratic input")
@pytest.mark.parametrize("name", HELD)
def test_a_string_that_does_not_end(world: World, judge: Judge, plain: float, name: str) -> None:
    """A registered system sends it: refused, named in the log, and cheap."""
    prepared = world.rest("bao-chay").prepare("POST", "/incident-alert/v1/alerts", HELD[name])
    _refused(world, judge, plain, "bao-chay", prepared, "message.not-json")


@pytest.mark.server
@pytest.mark.attack("quadratic input")
def test_without_a_grant(world: World, judge: Judge, plain: float) -> None:
    prepared = world.rest("y-te").prepare("POST", "/incident-alert/v1/alerts", HELD["the largest"])
    _refused(world, judge, plain, "y-te", prepared, "access.no-contract")


def _refused(world: World, judge: Judge, plain: float, who: str, prepared: Any, code: str) -> None:
    identity = world.identity(who)
    began = time.monotonic()
    judge.refused(ask(identity, of(prepared)), code)
    assert time.monotonic() - began < MUCH * plain, "it costs no more than a small multiple of a plain message"
