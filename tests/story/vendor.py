"""A vendor at her terminal: she joins and asks by curl, and makes her keys by the commands that she is told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from gateway.settings import Settings
from tests.story.joining_client import Client, shell


class Vendor:
    """Her folder, and what the join told."""

    def __init__(self, settings: Settings, folder: Path, name: str, **asked: Any) -> None:
        self.desk, self.folder = settings.desk, folder
        folder.mkdir()
        content = {
            "name": name,
            "contact": "ky-thuat@mau.example",
            "contracts": ["field-report/v1", "indicator/v1"],
            **asked,
        }
        self.told = self.curl("POST", "/sandbox/join", content)
        self.certify(self.told)

    def curl(self, method: str, path: str, content: Any) -> Any:
        token = ["--header", f"Authorization: Bearer {self.told['token']}"] if hasattr(self, "told") else []
        body = ["--header", "content-type: application/json", "--data-binary", "@-"] if content is not None else []
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--fail-with-body", "-X", method, *token, *body, self.desk + path],
            input=json.dumps(content),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def certify(self, told: Any) -> None:
        """The commands of the page, then the requests by curl."""
        requests = " ".join(f"--data-urlencode {use}@{use}.csr" for use in ("tls", "sign", "encrypt"))
        address = f"{self.desk}/sandbox/api/systems/{told['system']}/certificates"
        send = f"curl --silent --fail-with-body --header 'Authorization: Bearer {self.told['token']}' {requests}"
        done = shell(
            f"set -e\n{told['openssl']}\n{send} --output identity.zip {address} && unzip -qo identity.zip", self.folder
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.client = Client(self.folder)
        self.client.wait()
