"""How doors read views: from the memory of their process, else from Redis, else from the record. See docs/views.md, "Reading"."""
