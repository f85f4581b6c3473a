"""Drills: real servers, real workers, load, a fault at a random moment, and an oracle that knows nothing of the engine."""
