"""The commands around witnesses and time-stamps, and settings that will not do, on an instance that does not run."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.witnessing.config import WitnessStatus, anchors_of, witnesses_of
from gateway.cli.tree import app
from gateway.doctor import examine
from gateway.doctor.witnessing import witness_findings, witness_settings
from gateway.journal.append import append
from gateway.journal.database import lock_of, open_engine, writing
from gateway.journal.schema import tables
from gateway.keeper.revocation_fetch import open_session
from gateway.keeper.witnessing.coverage import keep
from gateway.keys.keyring import Keyring
from gateway.sandbox.instance import make_instance
from gateway.settings import BadSetting, Settings, load
from gateway.settings.saving import save
from gateway.transfer import entries
from gateway.transfer import lease as leases
from security.transparency.cosignature import CosignerKey
from tests.audit.stamping import Authority, verified_by_openssl
from tests.audit.witnessing.asking import Asking, honest


class Instance:
    """Its data, a keeper's hands, and the command line."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.engine = settings, open_engine(settings.database_url)
        self.folder = settings.data
        with writing(self.engine) as connection:
            taken = leases.take(connection, "keeper-test", time.time(), seconds=600)
        assert taken is not None
        self.lease = taken
        key = LogKey.open(Keyring(settings).log_key, settings.origin, Keyring(settings).at_rest)
        self._sequencer = Sequencer(self.engine, lock_of(self.engine), key, CheckpointFile(settings.checkpoint_file))

    def grow(self) -> None:
        with writing(self.engine) as connection:
            append(connection, [entries.note("test", {}, time.time())])
        while self._sequencer.run_once(self.lease).busy or not self.settings.checkpoint_file.exists():
            pass

    def size(self) -> int:
        return int(self.settings.checkpoint_file.read_text("utf-8").split("\n")[1])


Lgsp = Callable[..., dict[str, Any]]


@pytest.fixture
def lgsp(capsys: pytest.CaptureFixture[str]) -> Lgsp:
    def call(data: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            app([*arguments, "--data", str(data), "--json"], standalone_mode=False)
        said = capsys.readouterr().out
        assert end.value.code == code, said
        found: dict[str, Any] = json.loads(said)
        assert found["ok"] == (code == 0)
        return found

    return call


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with Authority(tmp_path_factory.mktemp("tsa")) as made:
        yield made


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Instance]:
    made = Settings(
        tmp_path_factory.mktemp("witnessing") / "data",
        kind="production",
        public_base="https://trao-doi.invalid",
        origin="tinh.example/lgsp",
        stamp_url=authority.url,
        stamp_anchors=str(authority.anchors),
        stamp_policy="flagged",
    )
    make_instance(made, {}, time.time(), province=False)
    save(made)
    found = Instance(made)
    yield found
    found.engine.dispose()


def test_stamping_by_hand(instance: Instance, authority: Authority, lgsp: Lgsp, tmp_path: Path) -> None:
    data = instance.settings.data
    assert lgsp(data, "audit", "stamp", "--now", code=3)["error"]["code"] == "no-checkpoint"
    assert lgsp(data, "audit", "stamps") == {"ok": True, "total": 0, "stamps": []}
    assert lgsp(data, "audit", "stamps", "--export", str(tmp_path / "none"), code=1)["error"]["code"] == "no-such-stamp"
    instance.grow()
    made = lgsp(data, "audit", "stamp")
    assert made["stamped"] and made["size"] == instance.size() and made["authority"] == "CN=Stamps"
    assert not lgsp(data, "audit", "stamp")["stamped"], "only when it is due"
    instance.grow()
    assert lgsp(data, "audit", "stamp", "--now")["stamped"]
    assert [each["size"] for each in lgsp(data, "audit", "stamps")["stamps"]] == [instance.size(), made["size"]]
    files = lgsp(data, "audit", "stamps", "--export", str(tmp_path / "out"), "--id", "1")["files"]
    assert verified_by_openssl(Path(files["checkpoint.tsr"]), authority.anchors, "-data", files["checkpoint"])
    assert lgsp(data, "audit", "stamps", "--export", str(tmp_path / "out"), code=2)["error"]["code"] == "not-empty"
    instance.grow()
    with instance.engine.connect() as connection:
        noted = list(connection.scalars(select(tables.log_entry.c.entry).where(tables.log_entry.c.phase == "stamp")))
    assert len(noted) == 2 and all(json.loads(each)["actor"].endswith(", command line") for each in noted)
    authority.reply = lambda asked: b"no"
    try:
        assert lgsp(data, "audit", "stamp", "--now", code=1)["error"]["code"] == "unstamped"
    finally:
        authority.reply = authority.by_openssl
    save(replace(instance.settings, stamp_policy="off"))
    assert lgsp(data, "audit", "stamp", "--now", code=2)["error"]["code"] == "off"
    save(instance.settings)


def test_verify_takes_witnesses_and_anchors_from_outside(
    instance: Instance, authority: Authority, lgsp: Lgsp, tmp_path: Path
) -> None:
    data, vkey = instance.settings.data, Keyring(instance.settings).log_vkey.read_text("ascii").strip()
    instance.grow()
    lgsp(data, "audit", "stamp", "--now")

    async def cosign() -> str:
        async with honest(tmp_path / "w", "w.example/a", vkey) as a, open_session() as session:
            assert await Asking(instance, session, [a.witness], vkey=vkey).ask() == {}
            return a.witness.key.text()

    key = asyncio.run(cosign())
    (tmp_path / "key").write_text(key + "\n")
    found = lgsp(
        data,
        "audit",
        "verify",
        "--vkey",
        vkey,
        "--witness",
        str(tmp_path / "key"),
        "--stamp-anchors",
        str(authority.anchors),
    )
    assert found["outside"]["newest"] == {"cosigned checkpoints": instance.size(), "time-stamps": instance.size()}
    other = CosignerKey.make("w.example/b", Ed25519PrivateKey.generate().public_key()).text()
    found = lgsp(data, "audit", "verify", "--vkey", vkey, "--witness", other, code=1)
    assert "0 known witnesses cosigned, and 1 must" in found["first_wrong"]
    assert (
        "and 2 must"
        in lgsp(data, "audit", "verify", "--witness", other, "--witness", key, "--quorum", "2", code=1)["first_wrong"]
    )
    assert lgsp(data, "audit", "verify", "--witness", key, "--quorum", "2", code=2)["error"]["code"] == "bad-quorum"
    assert lgsp(data, "audit", "verify", "--witness", vkey, code=2)["error"]["code"] == "bad-key", (
        "the log's own key is no witness's"
    )
    assert (
        lgsp(data, "audit", "verify", "--stamp-anchors", str(tmp_path / "key"), code=2)["error"]["code"]
        == "bad-certificates"
    )
    assert "outside" not in lgsp(data, "audit", "verify")


def test_the_doctor_says_who_does_not_witness(instance: Instance) -> None:
    key = CosignerKey.make("w.example/a", Ed25519PrivateKey.generate().public_key()).text()
    settings = replace(instance.settings, witnesses=f"http://127.0.0.1:1 {key}", witness_policy="flagged")

    def codes(settings: Settings) -> dict[str, str]:
        with instance.engine.connect() as connection:
            found = [*witness_settings(settings), *witness_findings(settings, connection, time.time())]
        return {each.kind.code: str(each.facts) for each in found}

    now = time.time()
    for behind, trouble, expected in (
        (None, {}, set()),
        (now - 5, {"w": "no connection"}, {"witness.failing", "stamp.trouble"}),
        (now - 8000, {"w": "no connection"}, {"witness.lacking", "stamp.overdue"}),
    ):
        with writing(instance.engine) as connection:
            for kind in ("witnesses", "stamps"):
                keep(connection, kind, WitnessStatus(1, now - 9000, behind, None, trouble))
        found = codes(settings)
        assert set(found) == expected and all("no connection" in each for each in found.values())
    assert {"witness.lacking", "stamp.overdue"} <= {each.kind.code for each in examine(settings, time.time)}
    assert set(codes(replace(settings, witness_quorum=2))) == {"witness.settings", "witness.lacking", "stamp.overdue"}
    assert set(codes(replace(settings, witness_policy="off", stamp_policy="off"))) == set()


def test_settings_that_will_not_do(tmp_path: Path, authority: Authority) -> None:
    keys = [CosignerKey.make(f"w.example/{name}", Ed25519PrivateKey.generate().public_key()).text() for name in "ab"]
    plain = Settings(tmp_path, witness_policy="closed")
    good = f"https://a.example/w {keys[0]};http://b.example:7380/ {keys[1]}"
    assert [each.url for each in witnesses_of(replace(plain, witnesses=good))] == [
        "https://a.example/w",
        "http://b.example:7380",
    ]
    (tmp_path / "two words").write_text("# nhân chứng\n" + good.replace(";", "\n") + "\n")
    assert len(witnesses_of(replace(plain, witnesses=str(tmp_path / "two words"), witness_quorum=2))) == 2
    assert witnesses_of(replace(plain, witness_policy="off", witnesses="nonsense")) == ()
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"witnesses": ""}, "witness_quorum is 1, and 0"),
        ({"witnesses": good, "witness_quorum": 3}, "witness_quorum is 3, and 2"),
        ({"witnesses": good, "witness_quorum": 0}, "witness_quorum is 0"),
        ({"witnesses": good, "witness_seconds": 0.0}, "witness_seconds"),
        ({"witnesses": f"https://a.example {keys[0]};https://b.example {keys[0]}"}, "one witness"),
        ({"witnesses": "https://a.example nonsense"}, "cannot be used"),
        ({"witnesses": f"http:///x {keys[0]}"}, "not the http or https address"),
        ({"witnesses": f"https://a.example {keys[0]}\nftp://b.example {keys[1]}"}, "not the http or https address"),
        ({"witnesses": str(tmp_path / "missing")}, "cannot be read"),
    )
    for bad, said in refused:
        with pytest.raises(BadSetting, match=said):
            witnesses_of(replace(plain, **bad))
    stamped = Settings(
        tmp_path, stamp_policy="flagged", stamp_url="https://tsa.example", stamp_anchors=str(authority.anchors)
    )
    assert len(anchors_of(stamped)) == 1 and anchors_of(replace(stamped, stamp_policy="off")) == ()
    refused = (
        ({"stamp_url": "file:///etc/passwd"}, "stamp_url"),
        ({"stamp_anchors": ""}, "stamp_anchors"),
        ({"stamp_seconds": -1.0}, "stamp_seconds"),
    )
    for bad, said in refused:
        with pytest.raises(BadSetting, match=said):
            anchors_of(replace(stamped, **bad))
    save(replace(plain, witness_policy="sometimes"))  # type: ignore[arg-type]
    with pytest.raises(BadSetting, match="off or flagged or closed"):
        load(tmp_path, {})


def test_up_says_what_is_wrong_before_it_starts(instance: Instance, lgsp: Lgsp) -> None:
    save(replace(instance.settings, witness_policy="closed"))
    try:
        assert lgsp(instance.settings.data, "up", code=2)["error"]["code"] == "bad-setting"
    finally:
        save(instance.settings)
