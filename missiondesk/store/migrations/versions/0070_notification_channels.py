"""Notifications are rows that the database writes with what they tell of, and leave by channels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0061"

_KINDS = (
    "'task passed', 'missionary finished', 'missionary expired', 'order filled', 'order cancelled', "
    "'order denied', 'order rejected', 'task broke', 'tick failed', 'command failed', 'command timeout', "
    "'command unknown', 'command offline', 'message invalid'"
)


def upgrade() -> None:
    op.drop_table("notification")  # keys of what was told; nothing of it is told again
    op.create_table(
        "notification",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("routed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"kind IN ({_KINDS})", name=op.f("ck_notification_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint("key", name=op.f("uq_notification_key")),
    )
    op.create_index(
        "ix_notification_new", "notification", ["id"], postgresql_where=sa.text("routed_at IS NULL")
    )
    op.create_table(
        "delivery",
        sa.Column("notification_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notification.id"],
            name=op.f("fk_delivery_notification_id_notification"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("notification_id", "channel", name=op.f("pk_delivery")),
    )
    op.create_index(
        "ix_delivery_unsent", "delivery", ["next_try_at"], postgresql_where=sa.text("sent_at IS NULL")
    )
    op.add_column("account", sa.Column("channels", sa.ARRAY(sa.Text()), nullable=True))
    for statement in (COMMON, RESULTS, MISSIONARIES, ORDERS, COMMANDS):
        op.execute(statement)
    op.drop_table("component_mail")


COMMON = """
CREATE FUNCTION this_hour() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT floor(extract(epoch FROM now()) / 3600)::bigint
$$;

-- What happens at a place of a walk is news once a Missionary; where each tick is one, once an hour.
CREATE FUNCTION place_of_news(
    walk text, mission_id bigint, missionary_id bigint, role text, task_index integer
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN walk = 'whole' THEN format('mission %s in hour %s', mission_id, this_hour())
                ELSE format('missionary %s', missionary_id) END
        || ' ' || concat_ws(' ', role, task_index)
$$;

CREATE FUNCTION tell(key text, kind text, account text, subject text, body text) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO notification (key, kind, account, subject, body) VALUES (key, kind, account, subject, body)
    ON CONFLICT DO NOTHING
$$;
"""

# That a Task of a whole walk passed is no news: it does at every tick.
RESULTS = """
CREATE FUNCTION tell_result() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    walked record;
    place text;
BEGIN
    SELECT mission.name, walk, missionary.account INTO walked
    FROM missionary JOIN mission ON mission.id = mission_id WHERE missionary.id = NEW.missionary_id;
    IF NOT FOUND OR (NEW.passed AND walked.walk = 'whole') THEN
        RETURN NULL;
    END IF;
    place := place_of_news(walked.walk, NEW.mission_id, NEW.missionary_id, NEW.role, NEW.task_index);
    IF NEW.passed THEN
        PERFORM tell(place || ' passed', 'task passed', walked.account,
            format('%s: task passed: %s', walked.name, NEW.task_name), concat_ws(' ', NEW.rule, NEW.msg));
    ELSE
        PERFORM tell(place || ' broke ' || md5(NEW.msg), 'task broke', walked.account,
            format('%s: task broke: %s', walked.name, NEW.task_name), NEW.msg);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tell AFTER INSERT ON result_log FOR EACH ROW
    WHEN (NEW.passed OR NEW.rule = 'ERROR') EXECUTE FUNCTION tell_result();
"""

MISSIONARIES = """
CREATE FUNCTION tell_missionary() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kind text := CASE NEW.result WHEN 'passed' THEN 'missionary finished' ELSE 'missionary expired' END;
    name text := (SELECT mission.name FROM mission WHERE id = NEW.mission_id AND walk <> 'whole');
BEGIN
    IF name IS NOT NULL THEN
        PERFORM tell(format('missionary %s ended', NEW.id), kind, NEW.account,
            format('%s: %s', name, kind), format('Missionary %s, begun %s', NEW.id, NEW.started_at));
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tell AFTER UPDATE ON missionary FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL AND NEW.result IN ('passed', 'expired'))
    EXECUTE FUNCTION tell_missionary();
"""

ORDERS = """
CREATE FUNCTION tell_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    walked record;
    key text := format('order %s %s', NEW.client_order_id, NEW.status);
BEGIN
    SELECT name, walk INTO walked FROM mission WHERE id = NEW.mission_id;
    -- A place that is refused is tried again at the next tick, and refused again.
    IF NEW.status IN ('denied', 'rejected') AND NEW.missionary_id IS NOT NULL THEN
        key := concat_ws(' ',
            place_of_news(walked.walk, NEW.mission_id, NEW.missionary_id, NEW.role, NEW.task_index),
            NEW.leaf, NEW.status
        );
    END IF;
    PERFORM tell(key, 'order ' || NEW.status, NEW.account,
        format('%s: order %s: %s %s %s',
            coalesce(walked.name, 'strategy run ' || NEW.strategy_run_id, 'desk'), NEW.status, NEW.side,
            trim_scale(NEW.amount), NEW.symbol),
        concat_ws(E'\\n',
            format('account %s at %s, %s', NEW.account, NEW.exchange, NEW.mode),
            format('filled %s of %s', trim_scale(NEW.filled), trim_scale(NEW.amount))
                || coalesce(' at ' || trim_scale(NEW.average), ''),
            nullif(NEW.reason, ''),
            'client order id ' || NEW.client_order_id
        ));
    RETURN NULL;
END $$;

CREATE TRIGGER tell_new AFTER INSERT ON trade_order FOR EACH ROW
    WHEN (NEW.status = 'denied') EXECUTE FUNCTION tell_order();
CREATE TRIGGER tell AFTER UPDATE ON trade_order FOR EACH ROW
    WHEN (OLD.status <> NEW.status AND (
        NEW.status IN ('filled', 'rejected', 'denied') OR (NEW.status = 'cancelled' AND NEW.filled > 0)
    ))
    EXECUTE FUNCTION tell_order();
"""

COMMANDS = """
DROP TRIGGER mail_failed ON component_command;
DROP FUNCTION mail_failed_command;

CREATE FUNCTION tell_failed_command() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text := (SELECT component.name FROM component WHERE id = NEW.component_id);
BEGIN
    PERFORM tell(format('command %s %s', NEW.id, NEW.status), 'command ' || NEW.status, NULL,
        concat_ws(': ', nullif(NEW.workflow_name, ''), name || ' ' || NEW.status),
        concat_ws(E'\\n',
            'component: ' || name,
            'workflow: ' || NEW.workflow_name || ' (' || NEW.workflow_id || ')',
            'execution: ' || NEW.id,
            'execution time: ' || NEW.execution_time,
            'outcome: ' || NEW.status,
            'error: ' || NEW.error,
            'message: ' || NEW.message
        ));
    RETURN NULL;
END $$;

CREATE TRIGGER tell_failed AFTER UPDATE ON component_command FOR EACH ROW
    WHEN (OLD.status <> NEW.status AND NEW.status IN ('failed', 'timeout', 'unknown', 'offline'))
    EXECUTE FUNCTION tell_failed_command();
"""
