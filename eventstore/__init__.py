"""The record: one block per commit, hash-chained, never changed. Only this folder knows the databases it is kept in."""
