-- The figures of scorecards from the tables alone, by system and day in Vietnam: part, good, all.
-- Each message of the month stands in `transfer`, `*_entry`/`log_pending` and `feed_event`, as the gateway writes them.
-- :now is the moment of counting, in Unix seconds. SQLite.
WITH RECURSIVE
entries AS (
    SELECT transfer, entry ->> '$.kind' AS kind, entry ->> '$.what' AS what, entry,
           date(entry ->> '$.at', '+7 hours') AS day
    FROM (SELECT transfer, phase, CAST(entry AS TEXT) AS entry FROM past_entry
          UNION SELECT transfer, phase, CAST(entry AS TEXT) FROM log_entry
          UNION SELECT transfer, phase, CAST(entry AS TEXT) FROM log_pending)
),
taken AS (
    SELECT id, caller_system, provider, state, failure, received, date(received, 'unixepoch', '+7 hours') AS day
    FROM transfer
),
-- calls: whether one of them failed by the provider's fault
codes AS (
    SELECT id AS transfer, failure AS code FROM taken WHERE state IN ('failed', 'dead')
    UNION ALL SELECT transfer, entry ->> '$.facts.failure' FROM entries WHERE kind = 'note'
    UNION ALL SELECT transfer, entry ->> '$.reason' FROM entries WHERE kind = 'in-doubt'
),
faults AS (
    SELECT DISTINCT transfer FROM codes
    WHERE code LIKE 'provider.%' AND code NOT IN ('provider.refused', 'provider.not-found', 'provider.resting')
),
calls AS (
    SELECT provider, day, faults.transfer IS NOT NULL AS failed,
           state = 'answered' OR coalesce(failure, '') IN ('provider.refused', 'provider.not-found') AS answered
    FROM taken LEFT JOIN faults ON faults.transfer = taken.id WHERE provider IS NOT NULL
),
refused AS (
    SELECT entry ->> '$.caller.system' AS system, day, coalesce(entry ->> '$.count', 1) AS number
    FROM entries
    WHERE kind = 'refusal' AND entry ->> '$.status' = 422 AND entry ->> '$.contract' IS NOT NULL AND entry ->> '$.caller.system' IS NOT NULL
),
repeated AS (SELECT entry ->> '$.caller.system' AS system, day FROM entries WHERE kind = 'repeat'),
-- feeds
events AS (
    SELECT contract, transfer, replace(event ->> '$.source', 'urn:lgsp:system:', '') AS system, received AS at, day,
           event ->> '$.type' AS type, event ->> '$.subject' AS subject
    FROM feed_event JOIN taken ON taken.id = feed_event.transfer
),
readings AS (  -- the times of the data in a message of the hourly contract
    SELECT transfer, system, at, day, (julianday(substr(value, instr(value, ',') + 1)) - 2440587.5) * 86400 AS time
    FROM events, json_each('["' || replace(subject, ' ', '","') || '"]') WHERE contract = 'observation/v1'
),
begun AS (
    SELECT *, CAST(time / 3600 + 1e-7 AS INTEGER) AS hour FROM readings
    WHERE CAST(time / 3600 + 1e-7 AS INTEGER) * 3600 <= at
),
newest AS (SELECT system, day, max(at) - max(time) AS age FROM begun GROUP BY transfer, system, day),
came AS (SELECT system, hour, min(at) AS at FROM begun GROUP BY system, hour),
first AS (
    SELECT system, CAST(min(at) / 3600 AS INTEGER) + 1 AS hour FROM events WHERE contract = 'observation/v1' GROUP BY system
),
expected AS (
    SELECT system, hour FROM first WHERE (hour + 2) * 3600 <= :now
    UNION ALL SELECT system, hour + 1 FROM expected WHERE (hour + 3) * 3600 <= :now
),
owed AS (
    SELECT expected.system, date((expected.hour + 2) * 3600 - 1, 'unixepoch', '+7 hours') AS day,
           (expected.hour + 2) * 3600 AS due,
           CASE WHEN came.at <= (expected.hour + 2) * 3600 + 7 * 86400 THEN came.at END AS at
    FROM expected LEFT JOIN came ON came.system = expected.system AND came.hour = expected.hour
),
figures AS (
    SELECT entry ->> '$.facts.provider' AS system, entry ->> '$.facts.day' AS day, 'availability' AS part,
           entry ->> '$.facts.answered' AS good, entry ->> '$.facts.probes' AS number
    FROM entries WHERE what = 'probes'
    UNION ALL SELECT system, day, 'availability', answered, probes FROM probe_day
    UNION ALL SELECT provider, day, 'answers', answered AND NOT failed, answered OR failed FROM calls
    UNION ALL SELECT caller_system, day, 'validity', 1, 1 FROM taken
    UNION ALL SELECT system, day, 'validity', 0, number FROM refused
    UNION ALL SELECT caller_system, day, 'duplication', 1, 1 FROM taken
    UNION ALL SELECT system, day, 'duplication', 0, 1 FROM repeated
    UNION ALL SELECT system, day, 'corrections', type NOT LIKE '%:corrected' AND type NOT LIKE '%:recalled', 1 FROM events
    UNION ALL SELECT system, day, 'freshness', age <= 3600, 1 FROM newest
    UNION ALL SELECT system, day, 'completeness', at IS NOT NULL, 1 FROM owed
    UNION ALL SELECT system, day, 'timeliness', at <= due, 1 FROM owed WHERE at IS NOT NULL
)
SELECT system, day, part, sum(good), sum(number) FROM figures GROUP BY system, day, part HAVING sum(number) > 0
