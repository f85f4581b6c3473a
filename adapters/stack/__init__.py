"""Real servers on one machine: found or installed, started on loopback, watched, stopped.

Every kind of server is one file: a class over `server.Server`, which knows everything about processes. To add a kind: such a file, its
programs in `parts.py`, a line in `Stack._servers`, a flag in `state.Shape`; a name in `Stack._furnish` by which its clients find it.
"""
