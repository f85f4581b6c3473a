-- The record of a market in PostgreSQL: one chain of blocks per partition, and the snapshots that spare a restart most of it.
--
-- outcry_migrator owns it, outcry_writer adds blocks through two functions and has no other way to, outcry_reader sees blocks.
-- Triggers keep the owner, too, from changing or removing what was committed.

CREATE TABLE outcry.cluster (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO outcry.cluster DEFAULT VALUES;
COMMENT ON TABLE outcry.cluster IS 'Which market this is: the same id stands in the headers of every block on the bus.';

-- A head's row is written with every block: a nearly empty page lets the next version stand beside the last one.
CREATE TABLE outcry.head (
    part integer PRIMARY KEY CHECK (part >= 0),
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    next_event bigint NOT NULL,
    time_ns bigint NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE outcry.head IS 'Where each chain ends, and the epoch of its owner: what a block is compared with when it is added.';

CREATE TABLE outcry.blocks (
    part integer NOT NULL,
    seq bigint NOT NULL,
    epoch bigint NOT NULL,
    first_event bigint NOT NULL,
    event_count bigint NOT NULL,
    command_count bigint NOT NULL,
    time_ns bigint NOT NULL,
    schema_version bigint NOT NULL,
    inputs bytea NOT NULL,
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (part, seq)
) PARTITION BY LIST (part);
COMMENT ON TABLE outcry.blocks IS 'Every commit: the columns are the fields of eventstore.blocks.Block. One table beneath per partition, made by its first claim.';
ALTER TABLE outcry.blocks ALTER COLUMN payload SET STORAGE EXTERNAL; -- it is compressed already

CREATE TABLE outcry.snapshots (
    part integer NOT NULL,
    seq bigint NOT NULL,
    block_hash bytea NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    PRIMARY KEY (part, seq)
);
CREATE TABLE outcry.snapshot_chunks (
    part integer NOT NULL,
    seq bigint NOT NULL,
    number integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (part, seq, number),
    FOREIGN KEY (part, seq) REFERENCES outcry.snapshots ON DELETE CASCADE
);
ALTER TABLE outcry.snapshot_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE FUNCTION outcry.never() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER a_block_never_changes BEFORE UPDATE ON outcry.blocks
    FOR EACH ROW EXECUTE FUNCTION outcry.never('a block never changes');
CREATE TRIGGER a_block_is_never_removed BEFORE DELETE ON outcry.blocks
    FOR EACH ROW EXECUTE FUNCTION outcry.never('a block is never removed');
CREATE TRIGGER blocks_are_never_emptied BEFORE TRUNCATE ON outcry.blocks
    FOR EACH STATEMENT EXECUTE FUNCTION outcry.never('a block is never removed');
CREATE TRIGGER a_head_only_advances BEFORE UPDATE ON outcry.head
    FOR EACH ROW WHEN (NEW.part <> OLD.part OR NEW.epoch < OLD.epoch OR NEW.seq < OLD.seq OR NEW.seq > OLD.seq + 1)
    EXECUTE FUNCTION outcry.never('a head only advances');
CREATE TRIGGER a_head_is_never_removed BEFORE DELETE ON outcry.head
    FOR EACH ROW EXECUTE FUNCTION outcry.never('a head is never removed');
CREATE TRIGGER heads_are_never_emptied BEFORE TRUNCATE ON outcry.head
    FOR EACH STATEMENT EXECUTE FUNCTION outcry.never('a head is never removed');

-- Raise the epoch of a partition; its first claim makes its table. Attaching a table does not stop the writers of the others.
CREATE FUNCTION outcry.claim(partition integer, genesis bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = outcry, pg_temp AS $$
DECLARE
    leaf text := format('blocks_%s', partition);
BEGIN
    IF to_regclass(leaf) IS NULL THEN
        LOCK TABLE outcry.blocks IN SHARE UPDATE EXCLUSIVE MODE; -- one at a time; writers take a weaker lock and go on
        IF to_regclass(leaf) IS NULL THEN
            EXECUTE format('CREATE TABLE outcry.%I (LIKE outcry.blocks INCLUDING ALL)', leaf);
            EXECUTE format('ALTER TABLE outcry.blocks ATTACH PARTITION outcry.%I FOR VALUES IN (%s)', leaf, partition);
            EXECUTE format('CREATE TRIGGER blocks_are_never_emptied BEFORE TRUNCATE ON outcry.%I'
                ' FOR EACH STATEMENT EXECUTE FUNCTION outcry.never(''a block is never removed'')', leaf);
        END IF;
    END IF;
    INSERT INTO head VALUES (partition, 1, 0, genesis, 0, 0) ON CONFLICT (part) DO UPDATE SET epoch = head.epoch + 1;
END $$;

-- The compare-and-swap: move the head from the block before to this one, and add it; or do neither and say so.
CREATE FUNCTION outcry.append(
    new_part integer, new_seq bigint, new_epoch bigint, new_first_event bigint, new_event_count bigint, new_command_count bigint,
    new_time_ns bigint, new_schema_version bigint, new_inputs bytea, new_prev_hash bytea, new_hash bytea, new_payload bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = outcry, pg_temp AS $$
BEGIN
    WITH moved AS (
        UPDATE head SET seq = new_seq, hash = new_hash, next_event = new_first_event + new_event_count, time_ns = new_time_ns
        WHERE part = new_part AND epoch = new_epoch AND seq = new_seq - 1 AND hash = new_prev_hash
        RETURNING 1
    )
    INSERT INTO blocks
    SELECT new_part, new_seq, new_epoch, new_first_event, new_event_count, new_command_count,
        new_time_ns, new_schema_version, new_inputs, new_prev_hash, new_hash, new_payload
    FROM moved;
    RETURN FOUND;
END $$;

REVOKE ALL ON FUNCTION outcry.never(), outcry.claim(integer, bytea),
    outcry.append(integer, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bytea, bytea, bytea, bytea) FROM PUBLIC;
GRANT USAGE ON SCHEMA outcry TO outcry_writer, outcry_reader;
GRANT SELECT ON outcry.migration, outcry.cluster, outcry.head, outcry.blocks TO outcry_writer, outcry_reader;
GRANT EXECUTE ON FUNCTION outcry.claim(integer, bytea),
    outcry.append(integer, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bytea, bytea, bytea, bytea) TO outcry_writer;
GRANT SELECT, INSERT, DELETE ON outcry.snapshots, outcry.snapshot_chunks TO outcry_writer;
