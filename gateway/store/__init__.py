"""Durable state: one protocol of domain verbs, hand-written SQL, numbered migrations.

`sqlite.SqliteStore` runs work inside a transaction; `transaction.Transaction` is what the work gets to speak with.
"""
