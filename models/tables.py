"""The SQLAlchemy rows of the values: the tables that users, migrations and the store share."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _identity() -> Column[int]:
    return Column("id", BigInteger, Identity(), primary_key=True)


def _moment(name: str, *, null: bool = False) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=null, server_default=None if null else func.now())


def _text(name: str, default: str = "") -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


task = Table(
    "task",
    metadata,
    _identity(),
    Column("name", Text, nullable=False, unique=True),
    Column("template", Text, nullable=False),
    Column("params", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _text("can_run", "always_true"),
    Column("period", Text),
    Column("retries", Integer, nullable=False, server_default=text("0")),
    Column("retry_delay_seconds", Float, nullable=False, server_default=text("0")),
    Column("timeout_seconds", Float),
    Column("cache_seconds", Float),
    _moment("updated_at"),
)

account = Table(
    "account",
    metadata,
    Column("name", Text, primary_key=True),
    Column("exchange", Text),
    Column("credentials", Text),
    Column("armed", Boolean, nullable=False, server_default=text("false")),
    Column("max_order_notional", Numeric),
    Column("max_open_exposure", Numeric),
    Column("max_orders_per_minute", Integer),
    Column("max_daily_loss", Numeric),
    Column("slippage", Numeric, nullable=False, server_default=text("0.01")),
    Column(
        "paper_balances",
        JSONB,
        nullable=False,
        server_default=text("""'{"USD": "100000", "USDT": "100000"}'::jsonb"""),
    ),
    # Where people are told what happens to it; null: by the desk's own channels.
    Column("channels", ARRAY(Text)),
    _moment("updated_at"),
    CheckConstraint(
        "NOT armed OR (max_order_notional IS NOT NULL AND max_daily_loss IS NOT NULL)",
        name="armed_needs_limits",
    ),
)

mission = Table(
    "mission",
    metadata,
    _identity(),
    Column("name", Text, nullable=False, unique=True),
    _text("description"),
    Column("task_ids", ARRAY(BigInteger), nullable=False, server_default=text("'{}'::bigint[]")),
    Column("target_id", BigInteger, ForeignKey("task.id")),
    _text("walk", "progress"),
    Column("stop_on_fail", Boolean, nullable=False, server_default=text("false")),
    _text("can_run_before_each_task"),
    _text("can_run_before_aim"),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("crontab", JSONB),
    _text("timezone", "UTC"),
    Column("next_mission_id", BigInteger, ForeignKey("mission.id", ondelete="SET NULL")),
    Column("repeat", Boolean, nullable=False, server_default=text("false")),
    _text("account", "paper"),
    _text("mode", "paper"),
    _text("overlap", "skip"),
    _text("missed_runs", "latest"),
    Column("max_lateness_seconds", Float, nullable=False, server_default=text("300")),
    Column("expires_after_seconds", Float),
    _moment("updated_at"),
)

missionary = Table(
    "missionary",
    metadata,
    _identity(),
    Column("mission_id", BigInteger, ForeignKey("mission.id", ondelete="CASCADE"), nullable=False),
    Column("task_ids", ARRAY(BigInteger), nullable=False),
    Column("target_id", BigInteger),
    _text("mode", "paper"),
    _text("account", "paper"),
    Column("period", Text, nullable=False),
    Column("next_index", Integer, nullable=False, server_default=text("0")),
    _moment("started_at"),
    _moment("ended_at", null=True),
    Column("result", Text),
    # The lease: the flow run whose tick walks this Missionary now.
    Column("holder", Text),
    _moment("lease_expires_at", null=True),
    # Why the last tick ended, for people; mirrored into Prefect only when it changes.
    Column("hold_rule", Text),
    Column("hold_reason", Text),
    CheckConstraint("next_index >= 0", name="next_index"),
    Index("uq_missionary_open", "mission_id", unique=True, postgresql_where=text("ended_at IS NULL")),
    Index("ix_missionary_mission", "mission_id", "id"),
)

# Append-only. No foreign keys: history outlives the rows it speaks of.
result_log = Table(
    "result_log",
    metadata,
    _identity(),
    Column("mission_id", BigInteger, nullable=False),
    Column("missionary_id", BigInteger, nullable=False),
    Column("task_id", BigInteger),
    Column("task_name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("task_index", Integer),
    Column("passed", Boolean, nullable=False),
    Column("rule", Text, nullable=False),
    _text("msg"),
    Column("flow_run_id", Text),
    _moment("logged_at"),
    CheckConstraint("role IN ('task', 'target')", name="role"),
    Index("ix_result_log_missionary", "missionary_id", "id"),
    Index("ix_result_log_mission", "mission_id", "id"),
)

condition = Table(
    "condition",
    metadata,
    Column("name", Text, primary_key=True),
    Column("valid", Boolean, nullable=False, server_default=text("false")),
    _moment("updated_at"),
)

# Members of a `sequence` that passed; they are not read again in this Missionary.
passed_member = Table(
    "passed_member",
    metadata,
    Column("missionary_id", BigInteger, ForeignKey("missionary.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, primary_key=True),
    Column("task_index", Integer, primary_key=True, server_default=text("-1")),
    Column("leaf", Text, primary_key=True),
    _moment("passed_at"),
)

trade_order = Table(
    "trade_order",
    metadata,
    _identity(),
    Column("client_order_id", Text, nullable=False, unique=True),
    Column("mission_id", BigInteger),
    Column("missionary_id", BigInteger),
    Column("task_id", BigInteger),
    Column("role", Text),
    Column("task_index", Integer),
    _text("leaf"),
    Column("strategy_run_id", BigInteger),
    Column("sequence", Integer),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("account", Text, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("price", Numeric),
    Column("mode", Text, nullable=False),
    Column("reduce_only", Boolean, nullable=False, server_default=text("false")),
    Column("status", Text, nullable=False),
    _text("reason"),
    Column("exchange_order_id", Text),
    Column("filled", Numeric, nullable=False, server_default=text("0")),
    Column("average", Numeric),
    Column("cost", Numeric, nullable=False, server_default=text("0")),
    Column("fee", Numeric, nullable=False, server_default=text("0")),
    _moment("deadline", null=True),
    _moment("sent_at", null=True),
    _moment("created_at"),
    _moment("updated_at"),
    CheckConstraint(
        "status IN ('intent','sent','open','filled','cancelled','denied','rejected','unknown')", name="status"
    ),
    Index("ix_trade_order_leaf", "missionary_id", "role", "task_index", "leaf"),
    # Of two processes that take themselves for the same run, one writes its next order.
    Index(
        "ix_trade_order_strategy",
        "strategy_run_id",
        "sequence",
        "attempt",
        unique=True,
        postgresql_where=text("strategy_run_id IS NOT NULL"),
    ),
    Index(
        "ix_trade_order_unsettled",
        "account",
        postgresql_where=text("status IN ('intent','sent','open','unknown')"),
    ),
    Index("ix_trade_order_rate", "account", "mode", "created_at"),
    Index("ix_trade_order_filled", "account", "mode", "updated_at", postgresql_where=text("filled > 0")),
    Index("ix_trade_order_mission", "mission_id", postgresql_where=text("filled > 0")),
)

# What the orders that settled before `day` add up to, sells below zero, and the lowest that sum ever was.
carried_holding = Table(
    "carried_holding",
    metadata,
    Column("day", DateTime(timezone=True), primary_key=True),
    Column("account", Text, primary_key=True),
    Column("mode", Text, primary_key=True),
    Column("exchange", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("total", Numeric, nullable=False),
    Column("lowest", Numeric, nullable=False),
)

# The paper venue's own books: what an exchange keeps on its side.
paper_balance = Table(
    "paper_balance",
    metadata,
    Column("account", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("total", Numeric, nullable=False),
    Column("held", Numeric, nullable=False, server_default=text("0")),
    CheckConstraint("held >= 0 AND held <= total", name="covered"),
)

paper_order = Table(
    "paper_order",
    metadata,
    _identity(),
    Column("client_order_id", Text, nullable=False, unique=True),
    Column("account", Text, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("price", Numeric),
    Column("status", Text, nullable=False),
    Column("filled", Numeric, nullable=False, server_default=text("0")),
    Column("average", Numeric),
    Column("cost", Numeric, nullable=False, server_default=text("0")),
    Column("fee", Numeric, nullable=False, server_default=text("0")),
    # Maker's or taker's, as it was placed.
    Column("fee_rate", Numeric, nullable=False, server_default=text("0")),
    Column("reduce_only", Boolean, nullable=False, server_default=text("false")),
    Column("leverage", Numeric, nullable=False, server_default=text("1")),
    # What is set aside for what is not filled yet.
    Column("held", Numeric, nullable=False, server_default=text("0")),
    # What its fills changed the wallet by, on contract markets: realised profit less fees.
    Column("settled", Numeric, nullable=False, server_default=text("0")),
    # Up to which market instant its fills have been looked at.
    _moment("seen_until", null=True),
    _moment("created_at"),
    _moment("updated_at"),
    CheckConstraint("status IN ('open','closed','cancelled')", name="status"),
    CheckConstraint("filled >= 0 AND filled <= amount", name="filled"),
    Index("ix_paper_order_open", "account", postgresql_where=text("status = 'open'")),
)

# One net position a market; `amount` in contracts, negative when short, `margin` in units of `settle`.
paper_position = Table(
    "paper_position",
    metadata,
    Column("account", Text, primary_key=True),
    Column("exchange", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("settle", Text, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("entry_price", Numeric, nullable=False),
    Column("margin", Numeric, nullable=False),
    CheckConstraint("amount <> 0 AND entry_price > 0 AND margin >= 0", name="open"),
)

# One row: the desk-wide facts that must survive every process.
desk = Table(
    "desk",
    metadata,
    Column("only", Boolean, primary_key=True, server_default=text("true")),
    Column("installation", UUID(as_uuid=True), nullable=False, server_default=text("gen_random_uuid()")),
    Column("halted", Boolean, nullable=False, server_default=text("false")),
    Column("halt_reduce_only", Boolean, nullable=False, server_default=text("false")),
    _moment("halted_at", null=True),
    CheckConstraint('"only"', name="one_row"),
)

# Flows of the user's own that the desk deploys and schedules.
scheduled_flow = Table(
    "scheduled_flow",
    metadata,
    Column("name", Text, primary_key=True),
    _text("description"),
    Column("entrypoint", Text, nullable=False),
    Column("parameters", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("crontab", JSONB),
    _text("timezone", "UTC"),
    _text("queue", "default"),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("timeout_seconds", Float),
    _moment("updated_at"),
)

# What is pushed to Prefect, so that a sync touches only what changed.
deployment = Table(
    "deployment",
    metadata,
    Column("key", Text, primary_key=True),
    Column("flow_name", Text, nullable=False),
    Column("deployment_name", Text, nullable=False),
    Column("deployment_id", UUID(as_uuid=True), nullable=False),
    Column("spec_hash", Text, nullable=False),
    Column("spec", JSONB, nullable=False),
    _moment("synced_at"),
)

# Who changed a Mission, a Task or an account, when, from what to what. Written by triggers.
audit_log = Table(
    "audit_log",
    metadata,
    _identity(),
    Column("table_name", Text, nullable=False),
    Column("row_id", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("changed_by", Text, nullable=False, server_default=text("current_user")),
    Column("before", JSONB),
    Column("after", JSONB),
    Index("ix_audit_log_row", "table_name", "row_id", "id"),
)
