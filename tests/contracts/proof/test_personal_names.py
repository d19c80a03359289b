"""`contract check` warns of fields that look personal and have no mark."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from contracts.canonical.personal import marked_fields
from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.proof.check import check
from contracts.proof.personal import looks_personal, unmarked
from tests.contracts.compiled.test_personal import CONTRACT, TEXT, listed, object_, ref


def bundle(**defs: Any) -> Bundle:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defs}
    text = json.dumps(schema, ensure_ascii=False, indent=1)
    return Bundle.of({"contract.yaml": CONTRACT.encode(), "schema.json": text.encode()})


@pytest.mark.parametrize(
    "name",
    "hoTen ho_ten hoten HoVaTen sdt soDT dienThoai so_dien_thoai phone phoneNumber mobile email e_mail emails cccd "
    "soCCCD cmnd soDinhDanh so_dinh_danh ngaySinh ngay_sinh NgaySinh birthDate dateOfBirth dob diaChi dia_chi "
    "diachithuongtru address homeAddress addresses gioiTinh danToc plate licensePlate bienSo bien_so_xe first_name "
    "lastName fullName passportNo IMEI tai_khoan account_id nguoiNop "
    "nguoi_bao nguoiPhanAnh hanh_khach BenhNhan reporter passengers".split(),
)
def test_names_that_look_personal(name: str) -> None:
    assert looks_personal(name) is not None


@pytest.mark.parametrize(
    "name", "code name value kind area lat unit status total chiTieu ten maSo noiDung hotel telemetry template".split()
)
def test_names_that_do_not(name: str) -> None:
    assert looks_personal(name) is None


def test_each_unmarked_field_is_named_once_with_its_line() -> None:
    files = bundle(
        File=object_(
            {
                "sdt": TEXT,
                "email": {**TEXT, "personal": "basic"},
                "hotline": {**TEXT, "title": "Số điện thoại"},
                "phone": {**TEXT, "personal": "none"},
                "diaChi": object_({"street": TEXT, "diaChiCu": TEXT}),
                "people": listed(ref("Person")),
                "owner": ref("Person", personal="basic"),
                "kinds": ref("Kinds"),
            }
        ),
        Person=object_({"cccd": TEXT}),
        Kinds={"oneOf": [ref("A"), ref("B")], "discriminator": {"propertyName": "kind"}},
        A=object_({"kind": {"type": "string", "const": "a"}}, required=["kind"]),
        B=object_({"kind": {"type": "string", "const": "b"}, "ngaySinh": TEXT}, required=["kind"]),
    )
    found = unmarked(compile_bundle(files), files)
    assert [each.canonical for each in found] == [
        "File.sdt",
        "File.hotline",
        "File.diaChi",
        "File.people[].cccd",
        "File.kinds.ngaySinh",
    ]
    lines = files.files["schema.json"].decode().splitlines()
    for each in found:
        name = each.canonical.rpartition(".")[2].removesuffix("[]")
        assert f'"{name}"' in lines[int(each.here.partition(":")[2]) - 1]
        assert '"personal"' in each.expected and '"none"' in each.expected


def test_the_catalogue_is_marked_in_full() -> None:
    for folder in catalogue_folders():
        files = Bundle.from_folder(folder)
        assert unmarked(compile_bundle(files), files) == [], folder


def test_a_warning_is_no_fault(tmp_path: Path) -> None:
    source = next(each for each in catalogue_folders() if each.parts[-2] == "field-report")
    folder = tmp_path / "v1"
    shutil.copytree(source, folder)
    shutil.copytree(source.parent.parent / "_codes", tmp_path.parent / "_codes", dirs_exist_ok=True)
    schema = (folder / "schema.json").read_text("utf-8")
    (folder / "schema.json").write_text(schema.replace(', "personal": "basic"}', "}"), "utf-8")
    report = check(folder)
    assert report.ok, report.findings
    assert {each.canonical for each in report.warnings} >= {"ServiceRequest.phone", "ServiceRequest.email"}


def test_the_cost_is_linear() -> None:
    """Four times as many fields, four times as long names of words: no more than the same again in time."""

    def cost(count: int) -> float:
        files = bundle(
            File=object_({f"x{number}": {**TEXT, "title": "địa " * count} for number in range(count)}),
        )
        contract = compile_bundle(files)
        fields = marked_fields(contract.messages["File"])
        assert len(fields) == count
        begun = time.process_time()
        unmarked(contract, files)
        return time.process_time() - begun

    cost(10)
    once, often = (min(cost(count) for _ in range(3)) for count in (60, 240))
    assert often < 16 * 4 * once  # the text is 16 times as long
