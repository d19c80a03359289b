"""Prints a signed request as a curl command.

    eval "$(python -m gateway.sample_client.curl --identity DIR GET '/indicator/v1/values?…')"

Only the request for a token is sent here. curl uses the system's client certificate. The signature is valid for 60
seconds and for one request. The answer is not verified; `gateway.sample_client.rest` does that.
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
    options = parser.parse_args(arguments)
    try:
        client = RestClient(Identity.load(options.identity))
        body = None if options.body is None else Path(options.body).read_bytes()
        prepared = client.prepare(options.method, quote(options.path, safe="/?&=%:+,;@"), body, message_id=options.id)
        print(as_curl(prepared, client.identity, options.body))
        return 0
    except (ClientError, OSError) as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
