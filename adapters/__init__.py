"""The doors and everything else that knows the outside: command line, market data files, settings, and the wiring of it all."""
