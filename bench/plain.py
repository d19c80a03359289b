"""The plain stack: the same exchange from the same packages, as a vendor would write it. The gateway is compared to it.

A connexion application with its OpenAPI file (JSON checked against the schema), PyJWT for the bearer token, a zeep
client on a persistent requests session over HTTPS. It signs nothing, verifies no signature, checks no grant and
stores nothing. Runs as its own process: `python -m bench.plain --port … --provider https://… --folder …`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import connexion
import jwt
import requests
import uvicorn
import zeep
from connexion.exceptions import OAuthProblem
from connexion.options import SwaggerUIOptions
from requests.adapters import HTTPAdapter

HERE: Final = Path(__file__).parent
AUDIENCE: Final = "plain"
KINDS: Final = {
    "duong-sa": "101",
    "chieu-sang": "102",
    "thoat-nuoc": "103",
    "rac-thai": "201",
    "cay-xanh": "202",
    "xay-dung": "301",
    "an-ninh": "901",
}
STATES: Final = {"01": "open", "05": "in_progress", "06": "closed", "02": "rejected"}
_made: dict[str, Any] = {}  # the client and the token key, made once at the start


def check_token(token: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(token, _made["token key"], algorithms=["ES256"], audience=AUDIENCE)
    except jwt.PyJWTError as wrong:
        raise OAuthProblem(detail=str(wrong)) from wrong
    return claims


def create_request(body: dict[str, Any]) -> dict[str, Any]:
    place = {
        "MaXa": body["area"],
        "ViDo": body.get("lat"),
        "KinhDo": body.get("long"),
        "DiaChi": body.get("address_string"),
    }
    receipt = _made["client"].service.PhieuPhanAnh(
        phienBan="1.2",
        LinhVuc=KINDS[body["service_code"]],
        NoiDung=body["description"],
        ViTri=place,
        NguoiPhanAnh={"DienThoai": body.get("phone")},
        ThongTinThem={"Muc": [{"khoa": "ma-tai-khoan", "_value_1": body["account_id"]}]},
        ThuocTinh=[{"ma": item["code"], "_value_1": item["value"]} for item in body.get("attribute", [])],
    )
    day, _, hour = receipt.HenTraLoi.partition(" ")
    return {
        "service_request_id": receipt.MaHoSo,
        "status": STATES[receipt.TrangThai],
        "service_notice": receipt.ThongBao,
        "expected_datetime": f"{day.replace('/', '-')}T{hour}+07:00",
        "agency_responsible": receipt.CoQuanXuLy,
    }


def make_application(provider: str, folder: Path) -> connexion.AsyncApp:
    session = requests.Session()
    session.verify = str(folder / "authority.pem")
    session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=32))
    client = zeep.Client(str(HERE / "do-thi.wsdl"), transport=zeep.Transport(session=session))
    client.service._binding_options["address"] = provider
    _made.update({"client": client, "token key": (folder / "token.pem").read_bytes()})
    app = connexion.AsyncApp(
        "plain", specification_dir=str(HERE), swagger_ui_options=SwaggerUIOptions(swagger_ui=False)
    )
    app.add_api("plain.yaml")
    return app


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("bench.plain", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--provider", required=True)
    parser.add_argument(
        "--folder", type=Path, required=True, help="holds server.pem, server.key, authority.pem, token.pem"
    )
    options = parser.parse_args(arguments)
    app = make_application(options.provider, options.folder)
    uvicorn.run(
        app, host="127.0.0.1", port=options.port, loop="uvloop", http="httptools", access_log=False,
        log_level="warning", timeout_keep_alive=65,
        ssl_certfile=str(options.folder / "server.pem"), ssl_keyfile=str(options.folder / "server.key"),
    )  # fmt: skip


if __name__ == "__main__":
    # the OpenAPI file names functions of `bench.plain`, not of `__main__`
    from bench.plain import main as start

    start(sys.argv[1:])
