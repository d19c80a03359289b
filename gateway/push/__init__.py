"""Pushes feeds: subscriptions of component systems, and their events by webhook.

    records    a subscription, and its seals    store    acts on subscriptions, each an entry of the log
    addresses  where a webhook may go           posting  one signed POST outwards
    keys       the keys that sign webhooks      batches  the next events, as the grant of now shows them
    sending    delivers to all, in the keeper

Invariant: no event leaves for a receiver that did not prove to own its URL, nor by a row that was changed in the
  database.
Invariant: events leave in the order of the feed. The position moves only past events that the receiver took.
"""
