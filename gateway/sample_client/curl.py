"""A signed request as a curl command: `eval "$(python -m gateway.sample_client.curl --identity DIR GET '/indicator/v1/values?…')"`.

Nothing is sent here but the call for a token. curl opens the channel with the system's own certificate; the signature is good for 60 seconds
and for one sending. What comes back is not verified: for that take `gateway.sample_client.rest`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from urllib.parse import quote

from gateway.sample_client.errors import ClientError
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Prepared, RestClient


def as_curl(prepared: Prepared, identity: Identity, body: str | None) -> str:
    words = ["curl", "--fail-with-body", "--request", prepared.method]
    for option, file in (("--cacert", "ca.crt"), ("--cert", "tls.crt"), ("--key", "tls.key")):
        words += [option, str(identity.folder / file)]
    for name, value in prepared.headers.items():
        words += ["--header", f"{name}: {value}"]
    words += [] if body is None else ["--data-binary", f"@{body}"]
    return shlex.join([*words, prepared.target])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sample_client.curl", description="A signed REST call, as a curl command."
    )
    parser.add_argument("--identity", required=True, type=Path, metavar="DIR", help="the system's identity folder")
    parser.add_argument("--body", metavar="FILE", help="file with the JSON body")
    parser.add_argument("--id", metavar="ID", help="id of the message; give it again to repeat the message")
    parser.add_argument("method", choices=("GET", "POST"))
    parser.add_argument("path", help="like /indicator/v1/values?indicator=…&area=…&period=…")
    given = parser.parse_args(arguments)
    try:
        client = RestClient(Identity.load(given.identity))
        body = None if given.body is None else Path(given.body).read_bytes()
        prepared = client.prepare(given.method, quote(given.path, safe="/?&=%:+,;@"), body, message_id=given.id)
        print(as_curl(prepared, client.identity, given.body))
        return 0
    except (ClientError, OSError) as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
