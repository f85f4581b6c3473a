-- Who reads history, at a standby, begins at a snapshot as a writer does.
GRANT SELECT ON outcry.snapshots, outcry.snapshot_chunks TO outcry_reader;
