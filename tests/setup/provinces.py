"""The answers of a small province for `lgsp setup`: two officers, an operator, three systems with a grant each."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from security.grants import approvals
from security.pki import authority

SYSTEM = "so-lieu"
SYSTEMS = {SYSTEM: "H14.5", "y-te": "H14.3", "giao-thong": "H14.4"}  # and the agency of each
GRANT = "G-0001"
GRANTS = (GRANT, "G-0002", "G-0003")
OFFICERS = ("can-bo-1", "can-bo-2")
OPERATOR = "van-hanh"


def _agency(code: str, vi: str, roles: list[str]) -> dict[str, object]:
    contact = {"office": "Phòng trực", "phone": "0206 000 0005", "email": "truc@tinh.example"}
    return {"code": code, "name": {"vi": vi, "en": vi}, "level": "department", "roles": roles, "contact": contact}


def answers(folder: Path, public_base: str = "https://trao-doi.tinh.example", **settings: object) -> Path:
    """Write keys, registry document and answers. The file of the answers."""
    for name in (*OFFICERS, OPERATOR):
        private = ec.generate_private_key(ec.SECP256R1())
        (folder / f"{name}.pub").write_text(approvals.public_pem(private.public_key()), "ascii")
        (folder / f"{name}.key").write_bytes(authority.private_pem(private))
        (folder / f"{name}.key").chmod(0o600)
    registry = {
        "agencies": [
            _agency("H14.0", "Trung tâm", ["centre"]),
            _agency("H14.5", "Sở Khoa học và Công nghệ", []),
            _agency("H14.3", "Sở Y tế", []),
            _agency("H14.4", "Sở Xây dựng", []),
        ],
        "systems": [
            {
                "id": system,
                "agency": agency,
                "title": {"vi": "Số liệu", "en": "Figures"},
                "formats": {"indicator/v1": "canonical"},
            }
            for system, agency in SYSTEMS.items()
        ],
        "grants": [
            {
                "id": grant,
                "agency": agency,
                "contract": "indicator/v1",
                "operations": ["submitValues"],
                "fields": ["*"],
                "purpose": "Nộp số liệu",
                "legal_basis": "Quyết định 451/QĐ-UBND, Điều 11 khoản 1",
                "valid_from": date(2026, 1, 1),
                "valid_until": date(2099, 12, 31),
            }
            for grant, agency in zip(GRANTS, SYSTEMS.values(), strict=True)
        ],
    }
    (folder / "registry.yaml").write_text(yaml.safe_dump(registry, allow_unicode=True), "utf-8")
    values = {
        "name": "LGSP của tỉnh",
        "public_base": public_base,
        "secret_file": "secret",
        "officers": [
            {"id": OFFICERS[0], "agency": "H14.5", "name": "Cán bộ an toàn thông tin", "key": f"{OFFICERS[0]}.pub"},
            {
                "id": OFFICERS[1],
                "agency": "H14.6",
                "agency_name": "Công an tỉnh",
                "name": "Cán bộ an ninh mạng",
                "key": f"{OFFICERS[1]}.pub",
            },
        ],
        "people": [
            {"id": OPERATOR, "agency": "H14.0", "name": "Vận hành", "role": "operator", "key": f"{OPERATOR}.pub"}
        ],
        "registry": "registry.yaml",
        "root_key_to": "offline",
        "settings": settings,
    }
    (folder / "offline").mkdir(exist_ok=True)  # the mounted medium
    file = folder / "setup.yaml"
    file.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    return file


def changed(file: Path, **values: Any) -> Path:
    """Write other answers into the file; None leaves one out."""
    document = yaml.safe_load(file.read_text("utf-8"))
    document.update(values)
    file.write_text(yaml.safe_dump({name: value for name, value in document.items() if value is not None}), "utf-8")
    return file
