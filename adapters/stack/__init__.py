"""Real servers on one machine: found or installed, started on loopback, watched, stopped. One file per kind of server over `server.py`."""
