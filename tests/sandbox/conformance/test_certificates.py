"""A passed run gives a certificate that is checked offline by code that is not the gateway's; others give none."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.verifier.conformance import NotProved, check
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.keys.keyring import Keyring
from gateway.sandbox.conformance import certificate, runs
from gateway.sandbox.conformance.results import Result, Run, Software
from gateway.sandbox.conformance.service import Service
from gateway.sandbox.conformance.suite import Wanted, provider_suite
from gateway.transfer import lease as leases
from tests.sandbox.conformance.test_good_providers import CATALOGUE
from tests.sandbox.simulation.conftest import SYSTEM, Simulated

SUITE = provider_suite(CATALOGUE["field-report/v1"], Wanted(("rest",), ("canonical",)))
PASSED = Run(
    SUITE,
    Software("Một cửa điện tử", "2.1", SYSTEM, "H14.7"),
    1_795_500_000.0,
    3.0,
    tuple(Result(each, "passed", 0.01) for each in SUITE.cases),
)


def sequence(simulated: Simulated) -> None:
    settings, keyring = simulated.settings, Keyring(simulated.settings)
    key = LogKey.open(keyring.log_key, settings.origin, keyring.at_rest)
    with writing(simulated.engine) as connection:
        lease = leases.take(connection, "keeper-1", time.time())
    assert lease is not None
    sequencer = Sequencer(simulated.engine, None, key, CheckpointFile(settings.checkpoint_file))
    sequencer.run_once(lease)  # the first of a process signs what is there
    while sequencer.run_once(lease).busy:
        pass
    with writing(simulated.engine) as connection:
        leases.give_back(connection, lease)


class Watched(Service):
    """The other thread looks for certificates at the worst moment: before the job of a run is changed."""

    def _change(self, id: str, state: str | None, **facts: Any) -> None:
        self._certify()
        Service._change(self, id, state, **facts)


def test_a_look_while_a_run_ends_loses_no_certificate(simulated: Simulated) -> None:
    carrying = Watched(simulated.settings, simulated.engine, simulated.contracts)
    facts = {"role": "provider", "contract": "field-report/v1", "system": SYSTEM, "agency": "H14.7", **runs.BEGUN}
    facts |= {"software": PASSED.software.name, "version": PASSED.software.version}
    with writing(simulated.engine) as connection:
        job = jobs.add(connection, runs.KIND, SYSTEM, ("H14.0/lan", ""), time.time(), **facts)
    carrying._end(job, PASSED)
    carrying._certify()
    file = runs.files_of(simulated.settings, job.id).certificate
    assert not file.exists(), "its entry is under no checkpoint yet"
    sequence(simulated)
    carrying._certify()
    assert json.loads(file.read_text("utf-8"))["format"] == certificate.FORMAT


def test_a_certificate_is_checked_offline(simulated: Simulated, tmp_path: Path) -> None:
    id = certificate.enter(simulated.engine, PASSED, time.time(), "H14.0/lan: test")
    sequence(simulated)
    keyring = Keyring(simulated.settings)
    made = certificate.document(simulated.engine, keyring, id)
    vkey, gateway = keyring.log_vkey.read_text("ascii").strip(), keyring.sign_certificate.read_bytes()
    shown = check(made, vkey, gateway)
    assert (shown["software"], shown["version"], shown["contract"]) == ("Một cửa điện tử", "2.1", "field-report/v1")
    assert shown["cases"] == len(SUITE.cases) and shown["protocols"] == "rest"
    code = certificate.picture(simulated.engine, id)
    assert code is not None and ElementTree.fromstring(code).tag == "{http://www.w3.org/2000/svg}svg"

    file, key = tmp_path / "certificate.json", tmp_path / "log.vkey"
    file.write_text(json.dumps(made), "utf-8")
    key.write_text(vkey, "utf-8")
    words = [sys.executable, "-m", "gateway.audit.verifier.conformance", str(file), "--vkey", str(key)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and json.loads(done.stdout)["ok"]

    for name, old, new in (
        ("entry", "2.1", "2.2"),
        ("certificate", id[:8], "00000000"),
        ("proof", "index ", "index 1"),
    ):
        with pytest.raises(NotProved):
            check(made | {name: made[name].replace(old, new, 1)}, vkey, gateway)
    with pytest.raises(NotProved):
        check(made | {"signature": made["signature"][:-8] + "AAAAAAAA"}, vkey, gateway)


def test_what_did_not_pass_gets_none(simulated: Simulated) -> None:
    first, *others = PASSED.results
    for run in (
        replace(PASSED, results=(replace(first, verdict="failed"), *others)),
        replace(PASSED, results=(replace(first, verdict="not-judged"), *others)),
        replace(PASSED, results=tuple(others)),
        replace(PASSED, software=replace(PASSED.software, version="")),
    ):
        with pytest.raises(ValueError, match="passed"):
            certificate.enter(simulated.engine, run, time.time(), "H14.0/lan: test")
