"""What `/metrics` of an idle, a busy and a broken instance tells over two hours and more, as series for `promtool`.

A series has a sample each minute: `A+BxN` begins at A and grows by B. Idle is a night without a call: the newest
checkpoint grows old, counters stand. Busy is a working day in which a provider is slow at times. Broken has everything
that a rule speaks of.
"""

from __future__ import annotations

from typing import Final

MINUTES: Final = 130
LATE: Final = 125  # when rules and panels are looked at
ABSENT: Final = f"_x{MINUTES}"


def _of(start: float, growth: float = 0) -> str:
    return f"{start}+{growth}x{MINUTES}"


def _between(before: float | str, at: int, after: float) -> str:
    """A value that changes at a minute."""
    return f"{before}x{at} {after}x{MINUTES - at}"


_SYSTEM: Final = 'system="y-te", contract="incident-alert/v1"'
_COMMITS: Final = 'lgsp_journal_commit_seconds_bucket{process="door", le='
# By series: idle, busy, broken.
SERIES: Final[dict[str, tuple[str, str, str]]] = {
    'up{job="lgsp"}': (_of(1), _of(1), _between(1, 100, 0)),
    "lgsp_keepers": (_of(1), _of(1), _between(1, 100, 0)),
    "lgsp_database_up": (_of(1), _of(1), _between(1, 100, 0)),
    "lgsp_vault_database_up": (_of(1), _of(1), _between(1, 100, 0)),
    "lgsp_standby_alone": (_of(0), _of(0), _between(0, 100, 1)),
    "lgsp_lease_held": (_of(1), _of(1), _between(1, 100, 0)),
    "lgsp_clock_ahead_seconds": (_of(0.01), _of(-0.4), _of(400)),
    "lgsp_checkpoint_age_seconds": (_of(769, 60), _of(1), _of(0, 60)),
    "lgsp_log_pending": (_of(0), _of(40), _of(20_000)),
    "lgsp_log_entries": (_of(29_000), _of(29_000, 6_000), _of(29_000)),
    _COMMITS + '"0.25"}': (_of(100), _of(0, 1_000), _of(0, 10)),
    _COMMITS + '"1.0"}': (_of(100), _of(0, 1_001), _of(0, 20)),
    _COMMITS + '"+Inf"}': (_of(100), _of(0, 1_001), _of(0, 20)),
    f"lgsp_queue_oldest_seconds{{{_SYSTEM}}}": (ABSENT, _of(20), _of(0, 60)),
    f'lgsp_provider_seconds_count{{{_SYSTEM}, result="answered"}}': (_of(50), _of(0, 100), _of(0, 10)),
    f'lgsp_provider_seconds_count{{{_SYSTEM}, result="provider.down"}}': (_of(3), _of(0, 5), _of(0, 30)),
    f'lgsp_provider_seconds_bucket{{{_SYSTEM}, result="answered", le="1.0"}}': (_of(50), _of(0, 90), _of(0, 1)),
    f'lgsp_provider_seconds_bucket{{{_SYSTEM}, result="answered", le="+Inf"}}': (_of(50), _of(0, 100), _of(0, 10)),
    f'lgsp_call_seconds_count{{{_SYSTEM}, result="answered"}}': (_of(50), _of(0, 100), _of(0, 10)),
    f'lgsp_call_seconds_bucket{{{_SYSTEM}, le="1.0"}}': (_of(50), _of(0, 90), _of(0, 1)),
    f'lgsp_call_seconds_bucket{{{_SYSTEM}, le="+Inf"}}': (_of(50), _of(0, 100), _of(0, 10)),
    'lgsp_caller_seconds_count{system="y-te", result="answered"}': (_of(50), _of(0, 100), _of(0, 10)),
    'lgsp_refusals_total{reason="access.no-grant", protocol="rest"}': (_of(4), _of(0, 3), _of(4)),
    'lgsp_refusals_total{reason="gateway.fault", protocol="rest"}': (_of(1), _of(1), _between("_", 120, 1)),
    'lgsp_queue{state="dead"}': (_of(5), _between(5, 90, 3), _between(0, 90, 1)),  # busy: somebody settles two
    'lgsp_witness_late_seconds{kind="witnesses"}': (_of(0), _of(0), _of(500)),
    'lgsp_own_certificate_days_left{name="server"}': (_of(200), _of(200), _of(5)),
    'lgsp_certificate_days_left{system="y-te", use="tls"}': (_of(90), _of(90), _of(5)),
    "lgsp_backup_age_seconds": (_of(80_000, 60), _of(80_000, 60), _of(700_000, 60)),
    'lgsp_transfers{state="in-doubt"}': (_of(0), _of(0), _of(3)),
    'lgsp_transfers{state="answered"}': (_of(900), _of(900, 100), _of(900)),
    "lgsp_push_lag_seconds": (_of(0), _of(3), _of(1_000, 60)),
    f"lgsp_feed_reader_behind_seconds{{{_SYSTEM}}}": (_of(0), _of(30), _of(90_000, 60)),
    'lgsp_alarms{kind="down"}': (_of(0), _of(0), _of(2)),
    "lgsp_alarms_unacknowledged": (_of(0), _of(0), _of(2)),
    "lgsp_files_quarantined": (_of(0), _of(0), _of(1)),
    'lgsp_limit_refusals_total{limit="agency"}': (_of(10), _of(0, 30), _of(0, 600)),
    'lgsp_systems{state="ready"}': (_of(9), _of(9), _of(2)),
    'lgsp_process_resident_bytes{process="door"}': (_of(9e7), _of(1.5e8), _of(9e7)),
    'lgsp_push_seconds_count{result="ok"}': (_of(7), _of(0, 60), _of(7)),
    'lgsp_sequencing_seconds_sum{result="ok"}': (_of(7), _of(0, 6), _of(7)),
    'lgsp_sequencing_seconds_count{result="ok"}': (_of(7), _of(0, 60), _of(7)),
}
STATES: Final = ("idle", "busy", "broken")


def series(state: str) -> list[dict[str, str]]:
    """The samples of one instance in a state."""
    number = STATES.index(state)
    return [{"series": name, "values": values[number]} for name, values in SERIES.items()]
