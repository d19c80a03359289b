"""The catalogue compiled once, and hypothesis strategies of canonical values made from the canonical types."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st

from contracts.canonical.model import REASONS, Array, Choice, RecursiveRef, Scalar, Struct, Type
from contracts.compiled import contract as compiled
from contracts.compiled.contract import CompiledContract
from contracts.compiled.loader import load
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.wire.xmltext import ILLEGAL

LEGAL = st.text(
    st.characters(codec="utf-8", exclude_characters="\ufffe\uffff", exclude_categories=["Cs"]).filter(
        lambda c: not ILLEGAL.search(c)
    ),
    max_size=12,
)
VIETNAMESE = st.sampled_from(
    ["Lũ quét, sạt lở đất", " giữ nguyên  khoảng trắng ", "a\r\nb\tc", "<&>\"'", "]]>", "Ổ gà", "", "\r", "𝄞", "&#xD;"]
)

Make = Callable[[CompiledContract, str, bool], st.SearchStrategy[Any]]


@pytest.fixture(scope="session")
def catalogue() -> dict[str, CompiledContract]:
    return {each.contract.name: each for each in compiled.catalogue()}


@pytest.fixture
def observation() -> CompiledContract:
    """Compiled for one test alone: what this process shares knows the prefixes that other tests wrote, and takes only
    so many."""
    bundle = Bundle.from_folder(next(folder for folder in catalogue_folders() if folder.parent.name == "observation"))
    return CompiledContract(load(bundle), bundle.digest)


def within(number: Decimal, places: int) -> bool:
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and abs(exponent) < places


def scalars(made: Scalar, wild: bool) -> st.SearchStrategy[Any]:
    if made.kind == "boolean":
        return st.booleans()
    if made.kind == "integer":
        return (st.integers() | st.integers(-6, 1001) | st.sampled_from([0, 1, 10**40])).filter(
            lambda n: wild or _inside(n, made)
        )
    if made.kind == "number":
        exact = st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: within(d, 200))
        small = st.decimals(min_value=-200, max_value=200, places=4)
        near: st.SearchStrategy[Any] = st.sampled_from(
            [
                Decimal("0.00"),
                Decimal("-1.50"),
                Decimal("1E+1"),
                Decimal("0.10000000000000000000000000000000001"),
                5,
                Decimal(90),
            ]
        )
        return (exact | small | near).filter(lambda d: wild or _inside(d, made))
    if made.binary:
        base64s = (
            st.binary(max_size=9)
            .map(lambda raw: base64.b64encode(raw).decode())
            .filter(
                lambda t: (made.min_length or 0) <= len(t) <= (10**6 if made.max_length is None else made.max_length)
            )
        )
        odd = st.sampled_from(
            ["QR==", "QUJD=", "QUI", "A", "=", "Q Q=", "QUJDREVGR0hJ", "QUJDREVGR0hJSktM", "", "QQ=="]
        )
        return base64s | odd if wild else base64s
    if made.values:
        right: st.SearchStrategy[str] = st.sampled_from(made.values)
    elif made.format == "date":
        right = st.dates(min_value=date(1000, 1, 1)).map(date.isoformat)
    elif made.format is not None:
        shapes = (
            ["{}T{:02d}:{:02d}:{:02d}{}"]
            if made.pattern
            else ["{}T{:02d}:{:02d}:{:02d}{}", "{}T{:02d}:{:02d}:{:02d}.123456789{}"]
        )
        zones = ["+07:00", "-05:00", "+00:00", "+14:00", "-00:30"] + ([] if made.pattern else ["Z"])
        right = st.builds(
            lambda shape, day, h, m, s, zone: shape.format(day.isoformat(), h, m, s, zone),
            st.sampled_from(shapes),
            st.dates(min_value=date(1000, 1, 2), max_value=date(9999, 12, 30)),
            st.integers(0, 23),
            st.integers(0, 59),
            st.integers(0, 59),
            st.sampled_from(zones),
        )
    elif made.pattern is not None:
        # A pattern leaves the outer bounds on length to the schema's own words.
        right = st.from_regex(made.pattern[1:-1], fullmatch=True).filter(
            lambda t: (
                not ILLEGAL.search(t)
                and (made.min_length or 0) <= len(t) <= (10**6 if made.max_length is None else made.max_length)
            )
        )
    else:
        right = (LEGAL | VIETNAMESE).filter(
            lambda t: (made.min_length or 0) <= len(t) <= (10**6 if made.max_length is None else made.max_length)
        )
    if not wild:
        return right
    if made.format is not None:
        odd = st.sampled_from(
            [
                "2026-02-30T00:00:00+07:00",
                "2026-02-30",
                "2026-02-28",
                "2026-02-28Z",
                "-2026-02-28",
                "2026-01-01T24:00:00Z",
                "2016-12-31T23:59:60Z",
                "2026-01-01T00:00:00",
                "0000-01-01T00:00:00Z",
                "2026-01-01t00:00:00z",
                "2026-01-01T00:00:00+15:00",
                "2026-01-01T00:00:00-00:00",
                "x",
                "",
                "12026-01-01T00:00:00Z",
            ]
        )
        return right | odd
    odd = right | LEGAL | st.text("abc12-Q+ ", max_size=8)
    if made.max_length is not None and made.max_length <= 4000 and made.pattern is None:
        odd = odd | st.sampled_from(["ă" * made.max_length, "ă" * (made.max_length + 1)])
    return odd


def _inside(number: int | Decimal, made: Scalar) -> bool:
    return (
        (made.minimum is None or number >= made.minimum)
        and (made.maximum is None or number <= made.maximum)
        and (made.exclusive_minimum is None or number > made.exclusive_minimum)
        and (made.exclusive_maximum is None or number < made.exclusive_maximum)
    )


def values(made: Type, wild: bool) -> st.SearchStrategy[Any]:
    if isinstance(made, RecursiveRef):
        return st.deferred(lambda: values(made.target, wild))
    if isinstance(made, Choice):
        return st.one_of([branched(made, number, wild) for number in range(len(made.branches))])
    if isinstance(made, Scalar):
        return scalars(made, wild)
    if isinstance(made, Array):
        item = values(made.items, wild)
        more = 0 if isinstance(made.items, RecursiveRef) else 2  # else messages would never end
        lists = st.lists(item, min_size=max(made.least, 1), max_size=min(max(made.least, 1) + more, made.most or 99))
        if made.least == 0:
            lists = st.just([]) | lists
        if wild and made.least > 1:
            lists = lists | st.lists(item, min_size=1, max_size=made.least - 1)
        if wild and made.most is not None and made.most <= 12:
            too_many = made.most + 1
            lists = lists | item.map(lambda one: [one] * too_many)
        return lists
    return structs(made, wild)


def branched(made: Choice, number: int, wild: bool) -> st.SearchStrategy[Any]:
    """Values of one branch; the discriminator stays a value of that branch, since XML has no other way to name it."""
    branch = made.branches[number]
    told = st.sampled_from(branch.values)
    return st.builds(lambda value, told: {**value, made.discriminator: told}, values(branch.type, wild), told)


def _may_be_empty(made: Struct, name: str) -> bool:
    field = made.field(name)
    return field is not None and isinstance(field.type, Array) and field.type.least == 0


def structs(made: Struct, wild: bool) -> st.SearchStrategy[dict[str, Any]]:
    required, optional = dict[str, Any](), dict[str, Any]()
    for field in made.fields:
        strategy = values(field.type, wild)
        if field.absentable:
            strategy = strategy | st.sampled_from(REASONS).map(lambda reason: {"absent": reason})
        (required if field.required else optional)[field.name] = strategy
    if wild:
        # Sometimes a required field is missing.
        return st.one_of(
            st.fixed_dictionaries(required, optional=optional),
            st.fixed_dictionaries(required, optional=optional),
            st.fixed_dictionaries(
                # Of a required list that may be empty, XML cannot say that it is missing: it is empty then.
                {name: required[name] for name in required if _may_be_empty(made, name)},
                optional={
                    **{name: each for name, each in required.items() if not _may_be_empty(made, name)},
                    **optional,
                },
            ),
        )
    return st.fixed_dictionaries(required, optional=optional)


NOT_IN_FORCE = "a code that is not in force"


def _today(compiled: CompiledContract, value: dict[str, Any]) -> dict[str, Any]:
    """The value on a day on which most codes are in force, where it says the day itself."""
    *groups, name = (compiled.contract.codes_at or "").split(".")
    at: Any = value
    for group in groups:
        at = at.get(group) if isinstance(at, dict) else None
    if isinstance(at, dict) and re.match(r"\d{4}-\d\d-\d\dT", str(at.get(name))):
        at[name] = "2026-07-01" + at[name][10:]
    return value


@pytest.fixture(scope="session")
def values_of() -> Make:
    """Canonical values of a message: valid ones, or (wild) ones of the right kinds that may break any rule but that of
    codes in force, which is the decoder's and no schema's."""
    kept: dict[tuple[str, str, bool], st.SearchStrategy[Any]] = {}

    def make(compiled: CompiledContract, message: str, wild: bool = False) -> st.SearchStrategy[Any]:
        key = (compiled.digest, message, wild)
        if key not in kept:
            kept[key] = structs(compiled.messages[message], wild).map(lambda value: _today(compiled, value))
            kept[key] = kept[key].filter(
                lambda value: all(each.got != NOT_IN_FORCE for each in compiled.validate(message, value))
            )
        return kept[key]

    return make
