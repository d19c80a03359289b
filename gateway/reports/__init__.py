"""Reports of a month or another period, for the whole instance or one agency (articles 10.5, 13.5, 14.3, 14.6).

`drawing` draws the figures from one moment of the database, `store` logs and keeps them, `content` puts them into
words, and `forms` names the modules that write the document.

Invariant: figures are in the log, by their digest, before anything is rendered from them.
Invariant: a report is rendered from its stored figures and its entry alone: the same bytes each time.
"""
