"""Headers of W3C Trace Context: what is valid is kept as it is, everything else is left out."""

from __future__ import annotations

import pytest

from contracts.wire.traces import MOST, Trace, read, state_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WHOLE = f"00-{TRACE}-{SPAN}-01"


def test_what_was_sent_is_read_and_written_again() -> None:
    found = read({"traceparent": WHOLE, "tracestate": "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE"})
    assert found == Trace(TRACE, SPAN, True, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
    assert found is not None and read(found.headers()) == found
    unsampled = read({"traceparent": f"00-{TRACE}-{SPAN}-00"})
    assert unsampled == Trace(TRACE, SPAN, False) and "tracestate" not in unsampled.headers()
    later = read({"traceparent": f"cc-{TRACE}-{SPAN}-03-what-comes"})
    assert later == Trace(TRACE, SPAN, True) and later.headers()["traceparent"] == WHOLE


@pytest.mark.attack("headers that are no trace")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        WHOLE.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01 ",
        f"01-{TRACE}-{SPAN}-01more",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE[:-1]}\n-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE[:-1]}٣-{SPAN}-01",
        f"{WHOLE}, {WHOLE}",
        f"01-{TRACE}-{SPAN}-01-" + "a" * MOST,
    ],
)
def test_what_is_no_trace_is_left_out(text: str) -> None:
    assert read({"traceparent": text, "tracestate": "a=b"}) is None


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "=b",
        "a=",
        "A=b",
        "a=b\n",
        "a=b=c",
        "a=b,a=c",
        "_a=b",
        "a@=b",
        "@a=b",
        "a@1=b",
        "a=ă",
        "a=\x7f",
        f"{'a' * 257}=b",
    ]
    + [",".join(f"k{n}=v" for n in range(33)), "a=" + "b" * 257, "a=" + "b" * MOST],
)
def test_a_state_that_is_not_valid_is_left_out_and_the_trace_goes_on(text: str) -> None:
    assert state_of(text) == ""
    assert read({"traceparent": WHOLE, "tracestate": text}) == Trace(TRACE, SPAN, True)


def test_states_that_are_valid() -> None:
    for text in ("a=b", "1a=b", "t@s=v", "a_-*/=!~ x", ",".join(f"k{n}=v" for n in range(32))):
        assert state_of(text) == text
    assert state_of(" a=b\t,, c=d ") == "a=b,c=d"
