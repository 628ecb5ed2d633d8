"""The ledger beyond its table: signed checkpoints, and verification (semantics.md L)."""
