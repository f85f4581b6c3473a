"""SQL over the archive and what the record has beyond it."""
