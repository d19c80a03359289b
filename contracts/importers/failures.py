"""Failures of importing a foreign interface file, with their words in both languages."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register

register(
    [
        Kind(
            "import.unreadable",
            Branch.THEIRS,
            422,
            Words("Không đọc được tệp giao diện", "The interface file cannot be read"),
            Words("Tệp {file}: {why}", "The file {file}: {why}"),
            Words(
                "Đưa tệp WSDL 1.1 hoặc OpenAPI 3.0, 3.1 đúng chuẩn, không có DOCTYPE; tệp đi kèm đặt cùng thư mục.",
                "Give a sound WSDL 1.1 or OpenAPI 3.0, 3.1 file without DOCTYPE; files it needs lie beside it.",
            ),
        ),
        Kind(
            "import.too-large",
            Branch.THEIRS,
            413,
            Words("Tệp giao diện quá lớn", "The interface is too large"),
            Words("Đọc tối đa {limit}.", "At most {limit} are read."),
            Words("Tách bớt các tệp không cần.", "Leave out the files that are not needed."),
        ),
        Kind(
            "import.nothing",
            Branch.THEIRS,
            422,
            Words("Không có thao tác nào để lấy", "There is no operation to take"),
            Words(
                "Tệp {file} không có thao tác nào dùng được ({why}).",
                "The file {file} has no operation that can be taken ({why}).",
            ),
            Words(
                "Xem các chỗ không nhận nêu kèm; thêm tệp còn thiếu bằng --with, chọn thao tác bằng --operation.",
                "See what is named as not taken; give missing files by --with, choose with --operation.",
            ),
        ),
    ]
)
