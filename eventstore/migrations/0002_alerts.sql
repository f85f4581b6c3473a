-- Users' alert rules: a log of what was added and removed. A change takes effect with block seq, the first after the head of that moment,
-- and is never changed itself: who folds the record anew applies the same changes before the same blocks.
--
-- Who adds holds the lock of the partition alone, who reads shares it. So a reader who found the head at block h knows every change that
-- will ever hold from block h on or before: whoever is about to add another will find the head there or beyond.

CREATE TABLE outcry.alert_changes (
    part integer NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    seq bigint NOT NULL,
    account bigint NOT NULL,
    rule jsonb, -- what is added; its number is this one's
    removes bigint, -- or the number of the rule that is removed
    changed timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (part, number),
    CHECK ((rule IS NULL) <> (removes IS NULL))
);
CREATE UNIQUE INDEX alert_is_removed_once ON outcry.alert_changes (part, removes) WHERE removes IS NOT NULL;
CREATE INDEX alerts_of_account ON outcry.alert_changes (account);
CREATE TRIGGER an_alert_change_never_changes BEFORE UPDATE OR DELETE ON outcry.alert_changes
    FOR EACH ROW EXECUTE FUNCTION outcry.never('a change of the alert rules never changes');

-- How far alerts were delivered, by partition: what a Redis that lost its stream cannot know.
CREATE TABLE outcry.alert_delivered (
    part integer PRIMARY KEY,
    seq bigint NOT NULL
);

CREATE FUNCTION outcry.live_alerts(of_account bigint) RETURNS TABLE (part integer, number bigint, seq bigint, account bigint, rule jsonb)
LANGUAGE sql STABLE SET search_path = outcry, pg_temp AS $$
    SELECT a.part, a.number, a.seq, a.account, a.rule FROM alert_changes a
    WHERE a.account = of_account AND a.rule IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM alert_changes r WHERE r.part = a.part AND r.removes = a.number)
    ORDER BY a.part, a.number
$$;

-- No row: the account has as many rules as it may have.
CREATE FUNCTION outcry.add_alert(in_part integer, of_account bigint, new_rule jsonb, bound integer)
RETURNS TABLE (number bigint, seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = outcry, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('outcry.alert_changes'), in_part);
    IF (SELECT count(*) FROM live_alerts(of_account)) >= bound THEN
        RETURN;
    END IF;
    RETURN QUERY INSERT INTO alert_changes AS c (part, seq, account, rule)
        VALUES (in_part, 1 + coalesce((SELECT h.seq FROM head h WHERE h.part = in_part), 0), of_account, new_rule)
        RETURNING c.number, c.seq;
END $$;

-- No row: the account has no such rule.
CREATE FUNCTION outcry.remove_alert(in_part integer, of_account bigint, old bigint)
RETURNS TABLE (number bigint, seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = outcry, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('outcry.alert_changes'), in_part);
    RETURN QUERY INSERT INTO alert_changes AS c (part, seq, account, removes)
        SELECT in_part, 1 + coalesce((SELECT h.seq FROM head h WHERE h.part = in_part), 0), of_account, old
        WHERE EXISTS (SELECT 1 FROM live_alerts(of_account) a WHERE a.part = in_part AND a.number = old)
        RETURNING c.number, c.seq;
END $$;

-- The head, and every change after number *after*, in a row each; a row of the head alone when there is none. At most 100,000.
CREATE FUNCTION outcry.alert_changes_after(in_part integer, after bigint)
RETURNS TABLE (head_seq bigint, number bigint, seq bigint, account bigint, rule text, removes bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = outcry, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('outcry.alert_changes'), in_part);
    RETURN QUERY SELECT coalesce((SELECT h.seq FROM head h WHERE h.part = in_part), 0), c.number, c.seq, c.account, c.rule::text, c.removes
        FROM (VALUES (1)) AS always LEFT JOIN alert_changes c ON c.part = in_part AND c.number > after
        ORDER BY c.number LIMIT 100000;
END $$;

REVOKE ALL ON FUNCTION outcry.add_alert(integer, bigint, jsonb, integer), outcry.remove_alert(integer, bigint, bigint),
    outcry.alert_changes_after(integer, bigint), outcry.live_alerts(bigint) FROM PUBLIC;
GRANT SELECT ON outcry.alert_changes, outcry.alert_delivered TO outcry_writer, outcry_reader;
GRANT INSERT, UPDATE ON outcry.alert_delivered TO outcry_writer;
GRANT EXECUTE ON FUNCTION outcry.add_alert(integer, bigint, jsonb, integer), outcry.remove_alert(integer, bigint, bigint),
    outcry.alert_changes_after(integer, bigint), outcry.live_alerts(bigint) TO outcry_writer;
