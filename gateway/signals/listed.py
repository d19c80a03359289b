"""Lists every metric: name, kind, labels, meaning. `/metrics` and `docs/metrics.md` are made from this list.

Invariant: the number of series is bounded. Labels are words of the code, or names in the registry; of the latter each
  process counts the first `most` combinations by name, and all others under `other`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

COUNTER, GAUGE, HISTOGRAM, SUMMARY = "counter", "gauge", "histogram", "summary"
NAMED: Final = 500  # series of a gauge that has names of the registry as labels: the worst ones


class Metric(NamedTuple):
    """`most`: combinations of labels that a process counts by name; 0: only words of the code are labels."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    most: int = 0
    buckets: tuple[float, ...] = ()  # upper bounds, in seconds


_CALLS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_WRITES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

STORED: Final = (
    Metric(
        "lgsp_call_seconds",
        HISTOGRAM,
        ("protocol", "contract", "operation", "result"),
        "Calls of systems, from the read body to the logged end.",
        400,
        _CALLS,
    ),
    Metric(
        "lgsp_caller_seconds",
        SUMMARY,
        ("system", "result"),
        "The same by the system that calls.",
        500,
    ),
    Metric(
        "lgsp_refusals_total",
        COUNTER,
        ("reason", "protocol"),
        "Calls that ended with a failure, by its code.",
        400,
    ),
    Metric(
        "lgsp_limit_refusals_total",
        COUNTER,
        ("limit",),
        "Calls and connections that doors refused, by limit.",
    ),
    Metric(
        "lgsp_provider_seconds",
        HISTOGRAM,
        ("system", "contract", "result"),
        "Calls to providers, with those of the queue.",
        300,
        _CALLS,
    ),
    Metric(
        "lgsp_push_seconds",
        HISTOGRAM,
        ("system", "result"),
        "Webhooks with events of feeds.",
        200,
        _CALLS,
    ),
    Metric(
        "lgsp_journal_commit_seconds",
        HISTOGRAM,
        ("process",),
        "Transactions of the journal, by kind of process.",
        0,
        _WRITES,
    ),
    Metric(
        "lgsp_sequencing_seconds",
        HISTOGRAM,
        ("result",),
        "Runs of the sequencer that had entries or events.",
        0,
        _WRITES,
    ),
)

_OF_DATABASE: Final = (
    Metric("lgsp_transfers", GAUGE, ("state",), "Transfers by state."),
    Metric("lgsp_queue", GAUGE, ("state",), "Messages of the queue by state."),
    Metric("lgsp_queue_waiting", GAUGE, ("system", "contract"), "Messages that wait for a provider.", NAMED),
    Metric("lgsp_queue_oldest_seconds", GAUGE, ("system", "contract"), "Age of the oldest of them.", NAMED),
    Metric("lgsp_push_subscriptions", GAUGE, ("state",), "Subscriptions to feeds by state."),
    Metric("lgsp_push_failing", GAUGE, (), "Active subscriptions whose receivers fail."),
    Metric("lgsp_push_lag_seconds", GAUGE, (), "Age of the oldest event that an active one waits for."),
    Metric("lgsp_push_behind_seconds", GAUGE, ("system", "contract"), "The same by subscriber and feed.", NAMED),
    Metric(
        "lgsp_feed_reader_behind",
        GAUGE,
        ("system", "contract"),
        "Events of a feed that a system has not read yet, which read before.",
        NAMED,
    ),
    Metric("lgsp_feed_reader_behind_seconds", GAUGE, ("system", "contract"), "Age of the first of them.", NAMED),
    Metric("lgsp_alarms", GAUGE, ("kind",), "Open alarms about systems by kind."),
    Metric("lgsp_alarms_unacknowledged", GAUGE, (), "Those that nobody has acknowledged."),
    Metric("lgsp_log_entries", GAUGE, (), "Entries of the audit log under the newest checkpoint."),
    Metric("lgsp_log_pending", GAUGE, (), "Entries that wait to be sequenced."),
    Metric("lgsp_checkpoint_age_seconds", GAUGE, (), "Age of the newest checkpoint."),
    Metric(
        "lgsp_witness_late_seconds",
        GAUGE,
        ("kind",),
        "Seconds by which cosignatures (`witnesses`) or time-stamps (`stamps`) are overdue; 0: they are not.",
    ),
    Metric("lgsp_keepers", GAUGE, (), "Keeper processes that are alive."),
    Metric("lgsp_standby_alone", GAUGE, (), "Whether it goes on without a synchronous standby, by a person's word."),
    Metric("lgsp_lease_held", GAUGE, (), "Whether the leading keeper renews its lease, by the clock of this process."),
    Metric("lgsp_lease_epoch", GAUGE, (), "Epoch of the lease: it rises with each new leader."),
    Metric("lgsp_clock_ahead_seconds", GAUGE, (), "This machine's clock against that of PostgreSQL."),
    Metric("lgsp_backup_age_seconds", GAUGE, (), "Age of the last backup; missing: there is none."),
    Metric(
        "lgsp_files_quarantined",
        GAUGE,
        (),
        "Dropped files in quarantine, after the process died twice with them in hand.",
    ),
)

_OF_MACHINE: Final = (
    Metric("lgsp_database_up", GAUGE, (), "Whether the database answers; at 0 what it tells is as last known."),
    Metric(
        "lgsp_vault_database_up",
        GAUGE,
        (),
        "Whether the vault's second database answers this machine; missing: there is none.",
    ),
    Metric("lgsp_counts_age_seconds", GAUGE, (), "Age of what the database told; missing: it told nothing yet."),
    Metric("lgsp_registry_revision", GAUGE, (), "Revision of the registry that this process works with."),
    Metric("lgsp_systems", GAUGE, ("state",), "Systems, by whether they can call, or why not."),
    Metric(
        "lgsp_certificate_days_left",
        GAUGE,
        ("system", "use"),
        "Days until the last certificate of a system for that use ends.",
        NAMED,
    ),
    Metric("lgsp_own_certificate_days_left", GAUGE, ("name",), "Days until a certificate of the gateway itself ends."),
    Metric("lgsp_process_resident_bytes", GAUGE, ("process",), "Memory of a process of this machine."),
    Metric("lgsp_process_cpu_seconds", GAUGE, ("process",), "Processor time that it took since its start."),
    Metric("lgsp_process_threads", GAUGE, ("process",), "Its threads."),
    Metric("lgsp_process_up_seconds", GAUGE, ("process",), "For how long it runs."),
)
GAUGES: Final = {each.name: each for each in (*_OF_MACHINE, *_OF_DATABASE)}
METRICS: Final = (*STORED, *_OF_MACHINE, *_OF_DATABASE)
