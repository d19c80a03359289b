"""What many contracts cost a process that loads them: `python -m bench.contracts [200]`.

The contracts are those of the catalogue under other ids. Prints processor time, memory, and the same with every message
compiled as if all of them were exchanged.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Final

from contracts.compiled.contract import catalogue, compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders

_ID: Final = re.compile(r"(?m)^id: (\S+)")


def _resident() -> float:
    """MiB of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main(count: int) -> None:
    known = [Bundle.from_folder(folder) for folder in catalogue_folders()]
    bundles = []
    for number in range(count):
        files = dict(known[number % len(known)].files)
        named = _ID.sub(rf"id: \1-{number}", files["contract.yaml"].decode())
        bundles.append(Bundle.of({**files, "contract.yaml": named.encode()}))
    catalogue()  # what is loaded once for any number of contracts
    memory, start = _resident(), time.process_time()
    contracts = [compile_bundle(bundle) for bundle in bundles]
    print(f"{count} contracts: {time.process_time() - start:.2f} s, {_resident() - memory:.0f} MiB")
    for contract in contracts:
        contract.compile_messages()
    print(f"with every message compiled: {time.process_time() - start:.2f} s, {_resident() - memory:.0f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
