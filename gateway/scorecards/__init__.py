"""Judges component systems from the journal alone (articles 10.2 and 13.4 of the regulation).

    periods    the calendar periods that a contract's declared frequency expects data of
    counts     what the journal says of each system and day
    scoring    the score out of 100, with its arithmetic
    cards      the card of a system: its score, its days, and what it was before

Invariant: nothing is counted beside the journal. A card is computed when somebody asks for it.
"""
