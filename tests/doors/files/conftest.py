from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle
from tests.doors.files.dropping import Place, fresh

_BUNDLES: dict[str, Bundle] = {}


@cache
def _compiled(digest: str) -> CompiledContract:
    return compile_bundle(_BUNDLES[digest])


def _once(bundle: Bundle) -> CompiledContract:
    return _compiled(_BUNDLES.setdefault(bundle.digest, bundle).digest)


@pytest.fixture(autouse=True, scope="package")
def contracts_compiled_once() -> Iterator[None]:
    """Each look is a process of its own; that each compiles all contracts anew is not what these tests are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.registry.snapshot.compile_bundle", _once)
        yield


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fresh(tmp_path)
