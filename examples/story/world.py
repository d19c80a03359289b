"""What the story uses: identities of the systems, addresses, the stand-ins' records, and the `lgsp` command."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Answer, Prepared, RestClient
from gateway.sample_client.soap import SoapAnswer, SoapClient
from gateway.sample_client.transport import Transport


class DidNotHold(AssertionError):
    """A step's promise did not hold."""


def check(holds: object, what: str) -> None:
    if not holds:
        raise DidNotHold(what)


def same(actual: object, expected: object, what: str) -> None:
    if actual != expected:
        raise DidNotHold(f"{what}: expected {expected!r}, got {actual!r}")


@dataclass(slots=True)
class World:
    """One instance of the gateway with its province, seen from outside.

    `command`: the first words of `lgsp`. `standins`: the address of each stand-in system. `refused`: transfer ids of
    all refusals. `remembered`: what later steps need of earlier ones.
    """

    data: Path
    identities: Path
    command: Sequence[str]
    standins: dict[str, str]
    refused: dict[str, str] = field(default_factory=dict)
    remembered: dict[str, Any] = field(default_factory=dict)
    _rest: dict[str, RestClient] = field(default_factory=dict)
    _soap: dict[str, SoapClient] = field(default_factory=dict)
    _towards_standins: list[ssl.SSLContext] = field(
        default_factory=list
    )  # made once: reading an identity checks its RSA key, a tenth of a second

    def identity(self, system: str) -> Identity:
        return Identity.load(self.identities / system)

    def rest(self, system: str) -> RestClient:
        if system not in self._rest:
            self._rest[system] = RestClient(self.identity(system))
        return self._rest[system]

    def soap(self, system: str) -> SoapClient:
        if system not in self._soap:
            self._soap[system] = SoapClient(self.identity(system))
        return self._soap[system]

    def seen(self, system: str) -> dict[str, Any]:
        """The stand-in's own record of its calls."""
        records: dict[str, Any] = json.loads(self._standin(system, "GET", "/_seen"))
        return records

    def fault(self, system: str, kind: str, *, seconds: float = 0.0, count: int = 1) -> None:
        """Order a stand-in to fail."""
        self._standin(system, "POST", "/_fault", {"kind": kind, "seconds": seconds, "count": count})

    def lgsp(self, *words: str) -> dict[str, Any]:
        """Run a command with `--json`. Returns its object."""
        done = subprocess.run(
            [*self.command, *words, "--json"], capture_output=True, text=True, timeout=120, check=False
        )
        try:
            result: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise DidNotHold(
                f"lgsp {' '.join(words)} gave no JSON (exit {done.returncode}): "
                f"{done.stdout[-300:]}{done.stderr[-500:]}"
            ) from None
        return result

    def refusal(self, name: str, code: str, answer: Answer | SoapAnswer, *, status: int | None = None) -> str:
        """Check that an answer is this refusal in the caller's own protocol, and note it. Returns its text."""
        if isinstance(answer, Answer):
            problem = answer.problem
            check(
                problem is not None,
                f"expected a problem document with {code}, got {answer.status} {answer.body[:200]!r}",
            )
            assert problem is not None
            same(problem["code"], code, "the code of the refusal")
            same(problem["status"], answer.status, "the status in the document")
            transfer, words = problem["transfer"], f"{problem['title']}: {problem['detail']} → {problem['next']}"
            check(
                problem["messages"]["vi"]["next"] and problem["messages"]["en"]["next"],
                "words in both languages, with what to do next",
            )
        else:
            fault = answer.fault
            check(fault is not None, f"expected a Fault with {code}, got {answer.status} {answer.raw[:300]!r}")
            assert fault is not None
            same(fault.problem, code, "the code of the Fault")
            check(set(fault.next) == {"vi", "en"}, "words in both languages, with what to do next")
            transfer, words = fault.transfer, f"{fault.title['vi']}: {fault.detail['vi']} → {fault.next['vi']}"
        if status is not None:
            same(answer.status, status, "the HTTP status")
        check(transfer, "the refusal names its transfer")
        self.refused[name] = str(transfer)
        return words

    def wait(self, what: str, done: Callable[[], Any], seconds: float = 60.0, pause: float = 0.1) -> Any:
        """Ask until the answer is true, at this pause."""
        until = time.monotonic() + seconds
        while True:
            result = done()
            if result:
                return result
            if time.monotonic() > until:
                raise DidNotHold(f"waited {seconds:g} s in vain: {what}")
            time.sleep(pause)

    def _standin(self, system: str, method: str, path: str, content: Any = None) -> bytes:
        if not self._towards_standins:
            self._towards_standins.append(self.identity("dieu-hanh").client_context())
        address = urlsplit(self.standins[system])  # of a simulated system with a path of its own
        path = address.path + path
        transport = Transport(f"https://{address.netloc}", self._towards_standins[0], 10.0)
        body = json.dumps(content).encode() if content is not None else b""
        headers = {"content-type": "application/json"} if body else {}
        answer = transport.send(method, path, headers, body)
        same(answer.status, 200, f"the stand-in {system} at {path}")
        return answer.body


def resend(prepared: Prepared, **changes: Any) -> Prepared:
    """The same request with changed parts."""
    values = {
        name: changes.get(name, getattr(prepared, name)) for name in ("method", "path", "target", "headers", "body")
    }
    return Prepared(**values)


Telling = tuple[str, Callable[[World], str]]
