"""What findings and losses say, in Vietnamese: for reports and pages that people read who know no English.

Findings are made where speed counts, in one language; they are turned here, where somebody reads them. Invariant: a phrase that is not known stays as
it is, and what a contract or a file says itself (codes, patterns, titles, shapes) is never turned.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

# A group named `t…` is a phrase itself; all others are kept. The first line that fits the whole text is taken.
_PHRASES: Final = (
    # what was found
    (r"text of (?P<n>\d+) characters", "văn bản {n} ký tự"),
    (r"nothing", "không có gì"),
    (r"empty text|an empty cell", "để trống"),
    (r"a number cell", "ô số"),
    (r"a boolean cell", "ô đúng/sai"),
    (r"a date cell", "ô ngày tháng"),
    (r"a cell that cannot be taken", "ô không nhận được"),
    (r"boolean", "giá trị đúng/sai"),
    (r"whole number", "số nguyên"),
    (r"number", "số"),
    (r"object", "một nhóm trường"),
    (r"list of (?P<n>\d+)", "danh sách {n} mục"),
    (r"a title twice", "tên cột lặp lại"),
    (r"a column that the format does not have", "cột không có trong định dạng"),
    (r"no title that the table knows", "không có tên cột nào đúng"),
    (r"no line with the titles", "không có dòng tên cột"),
    (r"more than (?P<n>\d+) lines", "hơn {n} dòng"),
    (r"(?P<n>\d+) bytes", "{n} byte"),
    (r"bytes that are not (?P<x>.+)", "tệp không theo bảng mã {x}"),
    (r"UTF-16 without a byte order mark", "UTF-16 thiếu dấu thứ tự byte (BOM)"),
    (r"no CSV: (?P<x>.+)", "không phải CSV: {x}"),
    (r"no zip archive", "không phải sổ tính .xlsx (tệp .xls cũ cũng không nhận)"),
    (r"no workbook in it", "trong tệp không có sổ tính"),
    (r"macros, or links to other workbooks", "có macro hoặc liên kết tới sổ tính khác"),
    (r"an encrypted workbook", "sổ tính có mật khẩu"),
    (r"a damaged part", "sổ tính bị hỏng"),
    (r"a part that unpacks to too much", "sổ tính giải nén ra quá lớn"),
    (r"(?:the part (?P<x>.+) is no XML|no part (?P<y>.+))", "sổ tính bị hỏng ({x}{y})"),
    (r"the sheets (?P<x>.*)", "các trang tính: {x}"),
    (r"a sheet that is no worksheet", "trang không phải trang tính"),
    (r"merged cells \((?P<x>.+)\)", "ô gộp ({x})"),
    (r"a cell in column (?P<n>\d+)", "ô ở cột thứ {n}"),
    (r"a DOCTYPE", "có DOCTYPE"),
    (r"too many parts, or one twice", "quá nhiều phần, hoặc một phần có hai lần"),
    (r"a part that is packed in another way than by deflate", "sổ tính được nén theo cách khác chuẩn"),
    (r"too many tags", "quá nhiều thẻ XML"),
    (r"too many relationships", "quá nhiều liên kết giữa các phần"),
    (r"too many sheets", "quá nhiều trang tính"),
    (r"too many styles", "quá nhiều kiểu ô"),
    (r"too many shared texts", "quá nhiều văn bản dùng chung"),
    (r"too many rows", "quá nhiều dòng"),
    (r"too many cells", "quá nhiều ô"),
    (r"a name that is too long", "tên quá dài"),
    (r"a number format that is too long", "định dạng số quá dài"),
    (r"a number format without its number", "định dạng số thiếu mã số"),
    (r"a line that is too long", "dòng quá dài"),
    (r"too much text", "quá nhiều chữ"),
    (r"rows out of order", "các dòng không đúng thứ tự"),
    (r"cells out of order", "các ô không đúng thứ tự"),
    # what would have been right
    (r"at most (?P<n>\d+) cells a line", "nhiều nhất {n} ô một dòng"),
    (r"at most (?P<n>\d+) characters of shared text", "nhiều nhất {n} ký tự văn bản dùng chung"),
    (r"at most (?P<n>\d+) characters a line", "nhiều nhất {n} ký tự một dòng"),
    (r"at most (?P<n>\d+) shared texts", "nhiều nhất {n} văn bản dùng chung"),
    (r"at most (?P<n>\d+) tags", "nhiều nhất {n} thẻ XML"),
    (r"at most (?P<n>\d+) relationships of a part", "nhiều nhất {n} liên kết ở một phần"),
    (r"at most (?P<n>\d+) sheets", "nhiều nhất {n} trang tính"),
    (r"at most (?P<n>\d+) styles", "nhiều nhất {n} kiểu ô"),
    (r"at most (?P<n>\d+) rows, the empty ones too", "nhiều nhất {n} dòng, kể cả dòng trống"),
    (r"at most (?P<n>\d+) cells, the empty ones too", "nhiều nhất {n} ô, kể cả ô trống"),
    (r"names of at most (?P<n>\d+) characters", "tên nhiều nhất {n} ký tự"),
    (r"number formats of at most (?P<n>\d+) characters", "định dạng số nhiều nhất {n} ký tự"),
    (r"a cell style that is in the workbook", "kiểu ô có trong sổ tính"),
    (r"rows from top to bottom, at most (?P<n>\d+)", "dòng từ trên xuống dưới, nhiều nhất {n} dòng"),
    (r"cells from left to right", "ô từ trái sang phải"),
    (r"the column", "phải có cột này"),
    (r"each column once", "mỗi cột một lần"),
    (r'the titles, parted by "(?P<d>.+?)": (?P<x>.+)', "dòng tên cột, cách nhau bằng dấu “{d}”: {x}"),
    (r"the titles in line (?P<n>\d+)(?:: (?P<x>.+))?", "tên cột ở dòng {n}: {x}"),
    (r"at most (?P<n>\d+) lines a file", "nhiều nhất {n} dòng một tệp"),
    (r"at most (?P<n>\d+) bytes", "nhiều nhất {n} byte"),
    (r"at most (?P<n>\d+) columns", "nhiều nhất {n} cột"),
    (r"at most (?P<n>\d+) characters in a cell", "nhiều nhất {n} ký tự một ô"),
    (r"at most (?P<n>\d+) digits(?:, here and in the other unit)?", "nhiều nhất {n} chữ số"),
    (r"parts of at most (?P<n>\d+) bytes together", "các phần cộng lại nhiều nhất {n} byte"),
    (r"text in utf-8", "tệp lưu theo bảng mã UTF-8 (trong Excel: Lưu thành, CSV UTF-8)"),
    (r"text in (?P<x>\S+)", "tệp lưu theo bảng mã {x}"),
    (
        r"a byte order mark, or encoding: utf-16-le or utf-16-be",
        "dấu BOM ở đầu tệp, hoặc encoding: utf-16-le hay utf-16-be",
    ),
    (r"quotes that are closed, and doubled inside a cell", "dấu ngoặc kép phải được đóng, và viết đôi khi ở trong ô"),
    (r"an XLSX workbook", "sổ tính XLSX"),
    (r"a workbook of plain values, saved as .xlsx", "sổ tính chỉ có giá trị, lưu dạng .xlsx"),
    (r"a workbook without a password", "sổ tính không đặt mật khẩu"),
    (r"at least one sheet", "ít nhất một trang tính"),
    (r"a sheet of cells", "trang tính có các ô"),
    (r"a sheet (?P<x>.+)", "trang tính tên {x}"),
    (r"XML without one", "XML không có DOCTYPE"),
    (r"a cell of its own for each value", "mỗi giá trị một ô riêng, không gộp ô"),
    (
        r"a text cell \(format the column as text, then type it again\)",
        "ô văn bản (định dạng cột là Văn bản rồi gõ lại)",
    ),
    (r"a date, or text in the declared shape", "ngày tháng, hoặc văn bản đúng dạng đã khai báo"),
    (
        r"a value instead of a formula \(copy, then paste as values\)",
        "giá trị thay cho công thức (sao chép rồi dán dạng giá trị)",
    ),
    (r"a value instead of an error of the spreadsheet", "giá trị thay cho lỗi của bảng tính"),
    (r"a text that is in the workbook", "văn bản có trong sổ tính"),
    (r"a text cell, for a (?:whole )?number of more than 15 digits", "ô văn bản, vì số có hơn 15 chữ số"),
    (r"a date from (?P<a>\S+) to (?P<b>\S+)", "ngày từ {a} đến {b}"),
    (r"a date of ISO 8601 without a zone", "ngày theo ISO 8601, không kèm múi giờ"),
    (r"characters that XML 1.0 can carry", "không có ký tự điều khiển"),
    (r"(?P<t>.+) that is in the calendar", "{t} có trong lịch"),
    (r"a time as (?P<x>.+)", "ngày giờ dạng {x}"),
    (r"a date as (?P<x>.+)", "ngày dạng {x}"),
    (r"a date, as (?P<x>\S+)", "ngày, ví dụ {x}"),
    (r"a date and time with its zone(?:, as (?P<x>\S+))?", "ngày giờ kèm múi giờ, ví dụ 2026-11-24T14:15:30+07:00"),
    (r"a date and time, with its zone or without, as (?P<x>\S+)", "ngày giờ, có hoặc không có múi giờ, ví dụ {x}"),
    (r"a time that (?P<x>.+) can show in the zone (?P<z>.+)", "ngày giờ viết được theo dạng {x}, múi giờ {z}"),
    (r"a whole number, such as 12", "số nguyên, ví dụ 12"),
    (r"a decimal number with a point, such as 12.5", "số thập phân dùng dấu chấm, ví dụ 12.5"),
    (r"a decimal number with a comma, such as 12,5", "số thập phân dùng dấu phẩy, ví dụ 12,5"),
    (r"a number that makes a whole one: (?P<x>.+)", "số cho ra kết quả nguyên: {x}"),
    (r"a number without quotes, (?P<t>.+)", "số không đặt trong nháy, {t}"),
    (r"text, (?P<t>a .+)", "văn bản, {t}"),
    (r"(?P<t>.+), without quotes(?: and without a point)?", "{t}, không đặt trong nháy"),
    (r"(?P<t>.+), between quotes", "{t}, đặt trong nháy"),
    (r'(?P<t>.+), or \{"absent": reason\}', "{t}, hoặc lý do vắng mặt"),
    (r"true or false", "đúng hoặc sai (true, false)"),
    (r"0 or 1", "0 hoặc 1"),
    (r"a value that the table (?P<n>\S+) has a code for", "giá trị có mã trong bảng {n}"),
    (r"a code of the table (?P<n>\S+): (?P<x>.+)", "mã trong bảng {n}: {x}"),
    (r"one of (?P<x>.+)", "một trong: {x}"),
    (r"a whole number(?P<x> [≥>≤<].+)?", "số nguyên{x}"),
    (r"a number(?P<x> [≥>≤<].+)?", "số{x}"),
    (r"a list of (?P<a>\d+) to (?P<b>\d+) items", "danh sách {a} đến {b} mục"),
    (r"a list of (?P<a>\d+) or more items", "danh sách từ {a} mục trở lên"),
    (r"an object \((?P<x>.+)\)", "nhóm trường {x}"),
    (r"an object \((?P<x>.+)\) whose (?P<n>\S+) is one of (?P<y>.+)", "nhóm trường {x}, có {n} là một trong: {y}"),
    (r"(?P<t>text|bytes in base64)(?P<t2> of \d+ .+?)? matching (?P<x>.+)", "{t}{t2} theo mẫu {x}"),
    (r"(?P<t>text|bytes in base64)(?P<t2> of \d+ .+)", "{t}{t2}"),
    (r" of (?P<a>\d+) to (?P<b>\d+) characters", " {a} đến {b} ký tự"),
    (r" of (?P<a>\d+) characters or more", " từ {a} ký tự trở lên"),
    (r"text", "văn bản"),
    (r"bytes in base64", "dữ liệu nhị phân dạng base64"),
    # what is lost on the way
    (r"the zone becomes (?P<z>\S+); fractions of a second are cut", "múi giờ thành {z}; bỏ phần lẻ của giây"),
    (r"the zone becomes (?P<z>\S+); seconds are cut", "múi giờ thành {z}; bỏ giây"),
    (r"dropped", "bị bỏ"),
    (r"the reason for an absence(?: \((?P<x>.+)\))? is lost", "mất lý do vắng mặt {x}"),
    (r"an empty object becomes a missing one", "nhóm trường rỗng thành không có"),
    (r"an empty text becomes missing", "văn bản rỗng thành không có"),
    (r"only what (?P<n>\S+) has a code for can be written", "chỉ viết được giá trị có mã trong bảng {n}"),
    (r"a missing value becomes (?P<x>.+)", "giá trị thiếu thành {x}"),
    (
        r"one-way: made by an expression when it is written, not read",
        "một chiều: tính bằng biểu thức khi ghi, không đọc",
    ),
    (
        r"one-way: made by an expression when it is read, not written",
        "một chiều: tính bằng biểu thức khi đọc, không ghi",
    ),
    (
        r"several codes of (?P<n>\S+) mean (?P<x>.+); the one in force is written, or the first",
        "nhiều mã của bảng {n} cùng nghĩa {x}; ghi mã đang có hiệu lực, hoặc mã đầu",
    ),
    (
        r"a number in a numeric cell is a binary double: read as the shortest decimal that names it",
        "số trong ô số được đọc chính xác đến 15 chữ số",
    ),
    (r"text becomes NFC, in the characters of (?P<x>\S+)", "văn bản thành dạng NFC, trong bộ ký tự {x}"),
    # why a pattern is not taken
    (
        r"\^ at the beginning and \$ at the end: XSD patterns are anchored",
        "^ ở đầu và $ ở cuối: mẫu của XSD khớp trọn giá trị",
    ),
    (
        r"no \\d, \\w, \\s, \\b and the like: they differ between XSD and ECMA 262; write the class out",
        r"không dùng \d, \w, \s, \b: XSD và ECMA 262 hiểu khác nhau; hãy viết rõ lớp ký tự",
    ),
    (r"no subtraction or nesting in a class", "không trừ hay lồng lớp ký tự"),
    (r"\] and - escaped in a class", "viết ] và - trong lớp ký tự với dấu \\"),
    (r"no anchor inside", "không có ^ hay $ ở giữa"),
    (
        r"no dot: XSD and ECMA 262 exclude different characters; write the class out",
        "không dùng dấu chấm: XSD và ECMA 262 loại các ký tự khác nhau; hãy viết rõ lớp ký tự",
    ),
    (r"plain groups only: no look-around, no names", "chỉ nhóm thường: không nhìn trước, nhìn sau, không đặt tên nhóm"),
    (r"alternatives in parentheses", "đặt các lựa chọn trong ngoặc"),
    (r"no lazy or possessive repetition", "không lặp kiểu lười hay kiểu giữ chặt"),
    (r"a pattern of at most (?P<n>\d+) characters", "mẫu không quá {n} ký tự"),
    (
        r"a smaller pattern: counts within counts, or many groups within each other, grow beyond what can be checked",
        "mẫu nhỏ hơn: số lần lặp lồng nhau, hoặc nhiều nhóm lồng nhau, vượt quá mức kiểm tra được",
    ),
    # what `check` proves
    (
        r"(?P<a>\d+) files, (?P<b>\d+) messages, (?P<c>\d+) code tables, (?P<d>\d+) formats",
        "{a} tệp, {b} bản tin, {c} bảng mã, {d} dạng dữ liệu",
    ),
    (r"the XSD is a valid XML Schema 1.0", "XSD là XML Schema 1.0 hợp lệ"),
    (
        r"generated samples: (?P<a>\d+) valid ones are accepted, (?P<b>\d+) invalid ones refused, each by its rule",
        "mẫu sinh từ lược đồ: {a} mẫu đúng được nhận, {b} mẫu sai bị từ chối, mỗi mẫu đúng theo quy tắc của nó",
    ),
    (
        r"its own (?P<x>XSD|OpenAPI) takes what it writes of (?P<n>\d+) samples",
        "{x} riêng nhận những gì dạng này viết ra từ {n} mẫu",
    ),
    (r"decoded, and the laws hold in every format", "đọc được, luật hai chiều giữ ở mọi dạng"),
    (
        r"the laws hold for (?P<a>\d+) values in (?P<b>\d+) formats(?P<t>; .+)?",
        "luật hai chiều giữ với {a} giá trị ở {b} dạng{t}",
    ),
    (
        r"; (?P<n>\d+) times a format could not carry a value and refused it",
        "; {n} lần một dạng không chứa nổi giá trị nên từ chối",
    ),
    (r"(?P<n>\d+) samples: (?P<t>.+)", "{n} mẫu: {t}"),
    (r"(?P<x>[\w.\[\]{}@:/', -]+): (?P<t>.+)", "{x}: {t}"),
)


@cache
def _table() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Compiled when somebody first reads: a door that only exchanges never needs it."""
    return tuple((re.compile(english, re.DOTALL), told) for english, told in _PHRASES)


def vietnamese(text: str) -> str:
    for english, told in _table():
        found = english.fullmatch(text)
        if found is not None:
            parts = {name: vietnamese(part) if name[0] == "t" else part for name, part in found.groupdict("").items()}
            return told.format_map(parts).rstrip(" :")
    return text
