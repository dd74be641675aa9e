"""What the database does by itself, whoever writes: stamps, notifications, fresh starts, the audit."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for statement in (STAMPS, SCHEDULES, RESTARTS, AUDIT, APPEND_ONLY):
        op.execute(statement)


STAMPS = """
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON mission FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON task FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON account FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON condition FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch_updated_at();
"""

# One notification per Mission whose schedule may have changed; its payload is the Mission's id.
SCHEDULES = """
CREATE FUNCTION notify_schedule_of_mission() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('missiondesk_schedule', coalesce(NEW.id, OLD.id)::text);
    RETURN NULL;
END $$;

CREATE TRIGGER notify_schedule AFTER INSERT OR DELETE ON mission FOR EACH ROW
    EXECUTE FUNCTION notify_schedule_of_mission();
CREATE TRIGGER notify_schedule_of_change AFTER UPDATE ON mission FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION notify_schedule_of_mission();

-- A tick of a whole walk opens and ends its Missionary; its Mission's schedule stays what it was.
CREATE FUNCTION notify_schedule_of_missionary() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM mission WHERE id = NEW.mission_id AND walk <> 'whole') THEN
        PERFORM pg_notify('missiondesk_schedule', NEW.mission_id::text);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER notify_schedule AFTER INSERT ON missionary FOR EACH ROW
    EXECUTE FUNCTION notify_schedule_of_missionary();
CREATE TRIGGER notify_schedule_of_change AFTER UPDATE ON missionary FOR EACH ROW
    WHEN (OLD.period IS DISTINCT FROM NEW.period OR OLD.ended_at IS DISTINCT FROM NEW.ended_at)
    EXECUTE FUNCTION notify_schedule_of_missionary();

CREATE FUNCTION missions_walking(changed_ids bigint[]) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT mission.id FROM mission, unnest(task_ids || target_id) AS step WHERE step = ANY (changed_ids)
    UNION
    SELECT mission_id FROM missionary, unnest(task_ids || target_id) AS step
    WHERE ended_at IS NULL AND step = ANY (changed_ids)
$$;

CREATE FUNCTION notify_schedules_of_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('missiondesk_schedule', id::text)
    FROM missions_walking(ARRAY(SELECT id FROM changed)) AS id;
    RETURN NULL;
END $$;

CREATE FUNCTION notify_schedules_of_periods() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('missiondesk_schedule', id::text)
    FROM missions_walking(ARRAY(
        SELECT id FROM new_row JOIN old_row USING (id) WHERE new_row.period IS DISTINCT FROM old_row.period
    )) AS id;
    RETURN NULL;
END $$;

CREATE TRIGGER notify_schedule_of_insert AFTER INSERT ON task REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION notify_schedules_of_tasks();
CREATE TRIGGER notify_schedule_of_delete AFTER DELETE ON task REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION notify_schedules_of_tasks();
CREATE TRIGGER notify_schedule_of_change AFTER UPDATE ON task
    REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row
    FOR EACH STATEMENT EXECUTE FUNCTION notify_schedules_of_periods();
"""

# Enabling a Mission again starts it afresh, unless its Missionary has traded or may be about to have.
# A Mission that another one hands over to keeps its Missionary: the setting says so for one transaction.
RESTARTS = """
CREATE FUNCTION end_missionary_of_enabled_mission() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('missiondesk.keep_missionary', true), '') <> 'on' THEN
        UPDATE missionary
        SET ended_at = now(), result = 'restarted', holder = NULL, lease_expires_at = NULL
        WHERE mission_id = NEW.id AND ended_at IS NULL AND NOT EXISTS (
            SELECT FROM trade_order
            WHERE missionary_id = missionary.id
              AND (status IN ('sent', 'unknown', 'open', 'filled') OR filled > 0)
        );
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER end_missionary AFTER UPDATE ON mission FOR EACH ROW
    WHEN (NEW.enabled AND NOT OLD.enabled) EXECUTE FUNCTION end_missionary_of_enabled_mission();
"""

# The trigger's argument is the column that names a row. Who acts stands in the setting missiondesk.actor.
AUDIT = """
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := to_jsonb(OLD);
    after jsonb := to_jsonb(NEW);
BEGIN
    IF before - 'updated_at' IS DISTINCT FROM after - 'updated_at' THEN
        INSERT INTO audit_log (table_name, row_id, changed_by, before, after)
        VALUES (
            TG_TABLE_NAME,
            coalesce(after, before) ->> TG_ARGV[0],
            coalesce(nullif(current_setting('missiondesk.actor', true), ''), session_user),
            before,
            after
        );
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mission FOR EACH ROW EXECUTE FUNCTION audit('id');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON task FOR EACH ROW EXECUTE FUNCTION audit('id');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON account FOR EACH ROW EXECUTE FUNCTION audit('name');
"""

APPEND_ONLY = """
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only, % is refused', TG_TABLE_NAME, TG_OP;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON result_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
"""
