"""The kinds of finding that are tried elsewhere, and where."""

from __future__ import annotations

APART = {"certificate.ended", "certificate.ending", "tls.old", "clock.skew", "disk.low", "disk.full"}  # below
APART |= {"access.review-due", "officers.few", "grants.unsigned", "officers.key-here"}  # test_doctor_access.py
APART |= {"files.owner", "files.unread"}  # tests/cli/test_other_users.py
APART |= {"persons.break-glass", "content.unapproved"}  # test_attack_persons.py, test_attack_unsigned_rows.py
APART |= {"grants.disclose", "content.waiting", "route.not-granted", "route.mask-unshown"}  # test_attack_version.py
APART |= {"receiving.unconfirmed", "receiving.overdue"}  # the same
APART |= {"log.check-failed", "listen.desk-ending", "listen.container"}  # _log_check.py, test_doctor_desk.py
APART |= {"clock.behind", "vault.key-differs"}  # test_attack_clock.py, tests/processes/test_machines.py
APART |= {
    f"vault.{each}"
    for each in ("destroyed-back", "copies-with-database", "no-copies", "key-missing", "overdue", "clock", "odd-files")
}  # test_doctor_vault.py
APART |= {"witness.settings", "witness.lacking", "witness.failing"}  # test_witnesses_and_stamps.py
APART |= {"stamp.overdue", "stamp.trouble"}  # the same
APART |= {"contacts.duty-missing", "contacts.ending", "workflow.holidays"}  # test_contacts.py, test_doctor_holidays.py
APART |= {"push.altered", "push.paused", "roles.nobody"}  # test_push_operating.py, tests/processes/test_roles.py
APART.add("certificate.vendors-hosts")  # test_attack_vendor_certificates.py
APART |= {"drill.due", "drill.failed"}  # tests/drills/test_drill_restore.py
APART |= {"vault.database", "vault.key-lost", "vault.keeps", "log.head-ahead"}  # tests/vault/test_second.py
APART |= {"standby.off", "standby.missing", "standby.alone"}  # tests/processes/test_alone.py
APART.add("processes.mixed")  # tests/journal/test_process_versions.py
APART |= {"machines.drained", "machines.all-drained"}  # test_doctor_machines.py
APART |= {"database.only-standby", "database.two-primaries"}  # tests/processes/test_alone.py, test_standby.py
APART |= {"machines.keys-behind", "machines.older", "machines.away", "machines.removed"}  # test_doctor_machines.py
