"""Two signature bases beside each other, and the commands that repeat a call: whatever came in them."""

from __future__ import annotations

import base64
import shlex
import subprocess

import pytest

from gateway.sandbox.calls import bases, repeating
from gateway.sandbox.calls.traces import REQUEST, Trace, shown_headers
from tests.cost import seconds

OURS = b'"@method": POST\n"@target-uri": https://a/b\n"@signature-params": ()'


@pytest.mark.parametrize(
    ("hers", "place"),
    [
        (OURS.replace(b"/b", b"/c"), (41, 2, 26)),
        (OURS.replace(b"\n", b"\r\n"), (15, 1, 16)),
        (OURS + b"\n", (len(OURS), 3, 24)),
        (OURS[:-1], (len(OURS) - 1, 3, 23)),
        (b"", (0, 1, 1)),
        (bytes(range(256)), (0, 1, 1)),
    ],
)
def test_the_first_difference_is_marked(hers: bytes, place: tuple[int, int, int]) -> None:
    found = bases.compared(OURS, hers)
    assert not found.equal and (found.offset, found.line, found.column) == place
    assert found.offset is not None and OURS[: found.offset] == hers[: found.offset]
    marked = [side for row in found.rows for side in (row.ours, row.hers) if side[1]]
    assert len(marked) == (found.offset < len(OURS)) + (found.offset < len(hers))


def test_what_is_given_is_read_as_bytes() -> None:
    assert bases.compared(OURS, bases.given(OURS.decode().replace("\n", "\r\n"))).equal
    strange = OURS.replace(b"\n", b"\r\n") + b"\xff\x00"
    assert bases.given(f" :{base64.b64encode(strange).decode()}: ") == strange
    assert bases.decoded("no base64!") is None and bases.decoded("") is None
    assert bases.readable(b"a b\r\n\t\x00\xff\xc3\xa1") == "a·b\\r↵\\t\\u0000\\xffá"


def test_a_comparison_costs_no_more_than_its_bytes() -> None:
    def run(size: int) -> float:
        return seconds(lambda: [bases.compared(b"\n" * size, b"\n" * (size - 1) + b"x") for _ in range(5)])

    assert bases.compared(b"x" * 9 * bases.MOST, b"x" * bases.MOST).cut
    assert run(bases.MOST) < 8 * run(bases.MOST // 4)


def test_a_command_has_no_secret_and_runs_nothing_of_a_message() -> None:
    headers = {
        "authorization": "Bearer very-secret", "cookie": "a=b", "content-type": "application/json", "host": "a",
        "x-odd": "'; touch /tmp/x #", "x-more": "$(id) `id` \\", "x-empty": "",
    }  # fmt: skip
    trace = Trace(
        method="POST", target="https://a/x/v1/y?q='$(id)'&z=[1-9]", headers=shown_headers(headers), size=2, sha256="00",
        status=200, answered={},
    )  # fmt: skip
    made = repeating.repeat("id", trace, (REQUEST,), "https://desk", "https://a")
    assert "very-secret" not in f"{made} {trace.text()!r}"
    words = shlex.split(made.same.replace("\\\n", " "))
    assert {"x-odd: '; touch /tmp/x #", "x-more: $(id) `id` \\", "x-empty;", trace.target} <= set(words)
    assert "--globoff" in words and "host: a" not in words
    for text in (made.fetch, made.signed, made.same):
        assert subprocess.run(["bash", "-n", "-c", text], check=False).returncode == 0
    last = shlex.split(made.signed.splitlines()[-1])
    assert last == ["bash", "lgsp.sh", ".", "POST", "/x/v1/y?q='$(id)'&z=[1-9]", "request.json"]
