"""What door, files worker and keeper open alike."""

from __future__ import annotations

import ssl
from pathlib import Path
from textwrap import indent

import pytest

from gateway.journal.database import open_engine
from gateway.processes.runtime import Runtime
from gateway.registry import store
from gateway.registry.seals.sealing import changing
from tests.attacks.audit.instances import Instance, base, instance  # noqa: F401  fixtures
from tests.keeper.tasks.outside import Outside
from tests.registry.making import NOW, PROVINCE, province


@pytest.mark.parametrize("kind", ["door", "files", "keeper"])
async def test_an_outside_authority_is_trusted_on_the_way_to_a_system(
    instance: Instance,  # noqa: F811
    tmp_path: Path,
    kind: str,
) -> None:
    outside = Outside(NOW)
    stated = (
        'authorities:\n  - name: chuyen-dung\n    uses: [tls]\n    crl: ["http://127.0.0.1:1/x.crl"]\n    grace: 24\n'
        "    certificates: |\n" + indent(outside.pem, "      ")
    )
    with changing(instance.engine, instance.seal) as act:
        store.apply(province(PROVINCE.replace("systems:\n", f"{stated}systems:\n", 1)), act.connection, NOW)
        act.note("registry", {}, NOW)
    runtime = await Runtime.start(instance.settings, open_engine(instance.settings.database_url), f"{kind}-1", kind)
    try:
        trusted = {ssl.DER_cert_to_PEM_cert(each) for each in runtime.peers.tls.get_ca_certs(binary_form=True)}
        assert any(each.strip() in outside.pem for each in trusted), kind
    finally:
        await runtime.close()
