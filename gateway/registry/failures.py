"""The failures of the registry."""

from __future__ import annotations

from typing import Final

from contracts.base.errors import Branch, Kind, Theirs, Words, register

NOUNS: Final = {
    "agency": Words("cơ quan", "agency"),
    "system": Words("hệ thống", "system"),
    "key": Words("khóa", "key"),
    "contract": Words("hợp đồng", "contract"),
    "bundle": Words("gói hợp đồng", "bundle"),
    "grant": Words("quyền", "grant"),
    "officer": Words("cán bộ", "officer"),
    "proposed officer": Words("cán bộ được đề xuất", "proposed officer"),
}


def unknown(what: str, id: str) -> Theirs:
    """Nothing of that kind has this id."""
    return Theirs("registry.unknown", what=NOUNS[what], id=id)


register(
    [
        Kind(
            "registry.altered",
            Branch.OURS,
            503,
            Words("Sổ đăng ký không khớp với nhật ký", "The registry is not what the log has"),
            Words(
                "{count} dòng của sổ đăng ký khác với nhật ký: {rows}. Các cửa không dùng bản này.",
                "{count} rows of the registry differ from what the log has: {rows}. The doors do not take it up.",
            ),
            Words(
                "Người vận hành: giữ bằng chứng; trả từng dòng về như bản sao lưu, hoặc chạy `lgsp registry accept --reason` (docs/vi/operating.md).",
                "Operators: keep the evidence; put each row back as the backup has it, or run `lgsp registry accept --reason` (docs/operating.md).",
            ),
        ),
        Kind(
            "registry.invalid",
            Branch.THEIRS,
            422,
            Words("Tài liệu đăng ký có lỗi", "The registry document has mistakes"),
            Words(
                "Tài liệu đăng ký có {count} lỗi; chưa có thay đổi nào được áp dụng.",
                "The registry document has {count} mistakes; nothing of it was applied.",
            ),
            Words(
                "Sửa từng lỗi theo đường dẫn được nêu rồi áp dụng lại.",
                "Mend each one at the path given, then apply it again.",
            ),
        ),
        Kind(
            "registry.unknown",
            Branch.THEIRS,
            404,
            Words("Không có trong sổ đăng ký", "Not in the registry"),
            Words("Sổ đăng ký không có {what} nào mang mã {id}.", "The registry has no {what} with the id {id}."),
            Words(
                "Xem danh sách: `lgsp registry show` (cơ quan, hệ thống), `lgsp registry keys` (khóa), `lgsp access list` (quyền, cán bộ).",
                "See the list: `lgsp registry show` (agencies, systems), `lgsp registry keys`, `lgsp access list` (grants, officers).",
            ),
        ),
        Kind(
            "registry.suspended-longer",
            Branch.THEIRS,
            409,
            Words("Đang bị tạm dừng lâu hơn", "Suspended for longer"),
            Words(
                "Đã tạm dừng {what} {id} từ {since}, {earlier}, lý do: {reason}; thời hạn {until} sẽ rút ngắn việc đó. Chưa có gì thay đổi.",
                "The {what} {id} is suspended since {since}, {earlier}, reason: {reason}; {until} would shorten that. Nothing was changed.",
            ),
            Words(
                "Chạy lại với `--shorten` nếu đúng là muốn rút ngắn, hoặc bỏ `--until` để chưa hẹn ngày mở lại.",
                "Run it again with `--shorten` if that is meant, or without `--until` to leave the end open.",
            ),
        ),
        Kind(
            "channel.suspended",
            Branch.POLICY,
            403,
            Words("Đang bị tạm dừng", "Suspended"),
            Words(
                "{who} bị tạm dừng trao đổi từ {since}{until}. Lý do: {reason}.",
                "{who} is suspended from exchange since {since}{until}. Reason: {reason}.",
            ),
            Words(
                "Khắc phục lý do trên rồi liên hệ {ask} để được mở lại.",
                "Mend what the reason says, then ask {ask} to be let in again.",
            ),
        ),
        Kind(
            "approval.given-up",
            Branch.THEIRS,
            409,
            Words("Nội dung này đã bị bãi bỏ", "This content was given up"),
            Words(
                "Nội dung này của {subject} từng được duyệt rồi bị thay đổi hoặc thu hồi; chữ ký cũ không được dùng lại.",
                "This content of {subject} was approved once and then changed or revoked; old signatures do not come back.",
            ),
            Words(
                "Tăng `edition` trong nội dung, đề xuất lại, rồi lấy hai chữ ký mới.",
                "Raise its `edition`, propose it again, and have it signed anew by two officers.",
            ),
        ),
        Kind(
            "grant.mask-unshown",
            Branch.THEIRS,
            422,
            Words(
                "Có trường bị che mà bên nhận không nhận biết được",
                "The grant hides what its reader could not tell from missing",
            ),
            Words(
                "Quyền {grant} che {count} trường mà dạng dữ liệu của bên nhận không ghi được là «không được xem».",
                "Grant {grant} hides {count} fields that the format of its reader cannot show as not permitted.",
            ),
            Words(
                "Bổ sung từ cho `not-permitted` vào bảng ánh xạ của dạng đó, hoặc đổi các trường của quyền.",
                "Give the format's mapping table a word for `not-permitted`, or change the fields of the grant.",
            ),
        ),
        Kind(
            "officer.key-taken",
            Branch.THEIRS,
            409,
            Words("Khóa này đã thuộc cán bộ khác", "The key is another officer's"),
            Words(
                "Khóa khai cho {id} đã được đăng ký cho một cán bộ khác.",
                "The key given for {id} is registered for another officer.",
            ),
            Words("Mỗi cán bộ tạo khóa riêng và giữ riêng.", "Each officer makes a key of their own, and keeps it."),
        ),
        Kind(
            "officer.other-key",
            Branch.THEIRS,
            409,
            Words("Cán bộ đã có khóa khác", "The officer has another key"),
            Words("Cán bộ {id} đã đăng ký với một khóa khác.", "Officer {id} is registered with another key."),
            Words(
                "Khóa mới là cán bộ mới: khai một mã mới, được hai cán bộ duyệt, rồi cho mã cũ thôi nhiệm vụ.",
                "A new key is a new officer: list a new id, have it signed by two officers, then let the old one retire.",
            ),
        ),
        Kind(
            "registry.key-taken",
            Branch.THEIRS,
            409,
            Words("Khóa đã được đăng ký", "The key is enrolled already"),
            Words(
                "Mã khóa {id} hoặc chứng thư của nó đã được đăng ký cho hệ thống {system}.",
                "The key id {id}, or its certificate, is enrolled already, for the system {system}.",
            ),
            Words("Tạo khóa mới với mã mới, rồi đăng ký lại.", "Make a new key with a new id, then enrol that."),
        ),
        Kind(
            "registry.key-revoked",
            Branch.THEIRS,
            409,
            Words("Khóa đã bị thu hồi", "The key was revoked"),
            Words(
                "Khóa {id} đã bị thu hồi; việc thu hồi là vĩnh viễn.",
                "The key {id} was revoked, and a revocation is final.",
            ),
            Words("Tạo khóa mới với mã mới, rồi đăng ký.", "Make a new key with a new id, then enrol that."),
        ),
        Kind(
            "registry.no-contact",
            Branch.POLICY,
            409,
            Words("Thiếu đầu mối liên hệ", "No contact"),
            Words(
                "Hệ thống {system} và cơ quan của nó chưa có đầu mối liên hệ; kết nối đang hoạt động phải có đầu mối (Điều 12.3).",
                "Neither the system {system} nor its agency has a contact; a live connection needs one (article 12.3).",
            ),
            Words(
                "Ghi contact (office, phone, email) cho hệ thống hoặc cơ quan trong tài liệu đăng ký rồi áp dụng.",
                "State a contact (office, phone, email) of the system or the agency in the registry document, and apply it.",
            ),
        ),
        Kind(
            "registry.request-system",
            Branch.POLICY,
            403,
            Words("Yêu cầu chứng thư mang tên hệ thống khác", "The request names another system"),
            Words(
                "Yêu cầu chứng thư mang tên {named}, không phải {system}.",
                "The certificate request names {named}, not {system}.",
            ),
            Words(
                "Tạo lại yêu cầu với subjectAltName urn:lgsp:system:{system}.",
                "Make the request anew with subjectAltName urn:lgsp:system:{system}.",
            ),
        ),
        Kind(
            "registry.request-host",
            Branch.POLICY,
            403,
            Words("Yêu cầu chứng thư mang tên máy chủ lạ", "The request names a host that is not the system's"),
            Words(
                "Yêu cầu chứng thư của {system} xin cho {host}; sổ đăng ký ghi địa chỉ của hệ thống là {known}.",
                "The request of {system} is for the host {host}; the registry has {known} as the address of that system.",
            ),
            Words(
                "Bỏ tên máy chủ đó khỏi yêu cầu, hoặc sửa endpoint của hệ thống trong tài liệu đăng ký trước.",
                "Leave that host out of the request, or first change the system's endpoint in the registry document.",
            ),
        ),
        Kind(
            "contract.breaking",
            Branch.THEIRS,
            409,
            Words("Thay đổi phá vỡ tương thích", "The change breaks what runs"),
            Words(
                "{contract} {version} có {count} thay đổi khiến hệ thống đang chạy theo bản {before} bị từ chối hoặc nhận dữ liệu không đúng; chưa công bố.",
                "{contract} {version} has {count} changes that break systems built to {before}; nothing was published.",
            ),
            Words(
                "Bỏ các thay đổi đó, hoặc công bố thành phiên bản chính v{next_major} ở địa chỉ riêng, chạy song song với bản cũ.",
                "Take those changes back, or publish a new major version, v{next_major}, at an address of its own beside the old one.",
            ),
        ),
        Kind(
            "contract.small-step",
            Branch.THEIRS,
            409,
            Words("Số phiên bản tăng chưa đủ", "The version takes too small a step"),
            Words(
                "{contract} {version} có {count} thay đổi trong dữ liệu trao đổi so với {before}; bản vá không được đổi dữ liệu trao đổi.",
                "{contract} {version} has {count} changes in what is exchanged since {before}; a patch may not have any.",
            ),
            Words("Đặt version là {wanted} rồi công bố lại.", "Set its version to {wanted} and publish again."),
        ),
        Kind(
            "contract.version-low",
            Branch.THEIRS,
            409,
            Words("Số phiên bản không tăng", "The version does not grow"),
            Words(
                "{contract} đang ở bản {before}; không thể công bố bản {version}.",
                "{contract} is at {before}; {version} cannot follow it.",
            ),
            Words(
                "Đặt version lớn hơn; muốn quay lại bản trước, dùng `lgsp contract publish --rollback`.",
                "Set a greater version; to go back to the one before, use `lgsp contract publish --rollback`.",
            ),
        ),
        Kind(
            "contract.version-taken",
            Branch.THEIRS,
            409,
            Words("Số phiên bản đã dùng cho nội dung khác", "The version was published with other contents"),
            Words(
                "{contract} {version} đã được công bố với nội dung khác ({digest}).",
                "{contract} {version} was published before, with other contents ({digest}).",
            ),
            Words("Nội dung mới cần số phiên bản mới.", "New contents need a new version."),
        ),
        Kind(
            "contract.pinned",
            Branch.THEIRS,
            409,
            Words("Có hệ thống đang dùng phiên bản này", "Systems need this version"),
            Words(
                "Không thể rút {contract} {version}: các hệ thống sau được đăng ký theo bản này hoặc dùng dạng dữ liệu chỉ có trong bản này: {systems}.",
                "{contract} {version} cannot be taken back: these systems are pinned to it, or speak a format that came with it: {systems}.",
            ),
            Words(
                "Đổi phiên bản hoặc dạng của các hệ thống đó trong tài liệu đăng ký, áp dụng, rồi quay lại.",
                "Give them another version or format in the registry document, apply it, then go back.",
            ),
        ),
        Kind(
            "contract.no-older",
            Branch.THEIRS,
            409,
            Words("Không có phiên bản cũ hơn", "There is no older version"),
            Words(
                "{contract} {version} là bản đầu tiên được công bố.",
                "{contract} {version} is the first that was published.",
            ),
            Words("Công bố một bản mới thay cho nó.", "Publish a new version in its place."),
        ),
        Kind(
            "registry.stale",
            Branch.OURS,
            503,
            Words("Không đọc được sổ đăng ký", "The registry cannot be read"),
            Words(
                "Sổ đăng ký không đọc lại được từ {seconds} giây trước; không thể biết quyền nào còn hiệu lực.",
                "The registry could not be read for {seconds} seconds; what is still in force cannot be known.",
            ),
            Words(
                "Gửi lại sau ít phút; người vận hành đã được báo.",
                "Try again in a few minutes; the operators can see it.",
            ),
        ),
    ]
)
