"""All tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text()),
        sa.Column("credentials", sa.Text()),
        sa.Column("armed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("max_order_notional", sa.Numeric()),
        sa.Column("max_open_exposure", sa.Numeric()),
        sa.Column("max_orders_per_minute", sa.Integer()),
        sa.Column("max_daily_loss", sa.Numeric()),
        sa.Column("slippage", sa.Numeric(), server_default=sa.text("0.01"), nullable=False),
        sa.Column(
            "paper_balances",
            postgresql.JSONB(),
            server_default=sa.text('\'{"USD": "100000", "USDT": "100000"}\'::jsonb'),
            nullable=False,
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "NOT armed OR (max_order_notional IS NOT NULL AND max_daily_loss IS NOT NULL)",
            name=op.f("ck_account_armed_needs_limits"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_account")),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("changed_by", sa.Text(), server_default=sa.text("current_user"), nullable=False),
        sa.Column("before", postgresql.JSONB()),
        sa.Column("after", postgresql.JSONB()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_row", "audit_log", ["table_name", "row_id", "id"])
    op.create_table(
        "condition",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("valid", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_condition")),
    )
    op.create_table(
        "deployment",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("flow_name", sa.Text(), nullable=False),
        sa.Column("deployment_name", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.UUID(), nullable=False),
        sa.Column("spec_hash", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_deployment")),
    )
    op.create_table(
        "desk",
        sa.Column("only", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("installation", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("halted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("halt_reduce_only", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("halted_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint('"only"', name=op.f("ck_desk_one_row")),
        sa.PrimaryKeyConstraint("only", name=op.f("pk_desk")),
    )
    op.create_table(
        "paper_balance",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.Column("held", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("held >= 0 AND held <= total", name=op.f("ck_paper_balance_covered")),
        sa.PrimaryKeyConstraint("account", "currency", name=op.f("pk_paper_balance")),
    )
    op.create_table(
        "paper_order",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("price", sa.Numeric()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("filled", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("average", sa.Numeric()),
        sa.Column("cost", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("fee", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("fee_rate", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("seen_until", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('open','closed','cancelled')", name=op.f("ck_paper_order_status")),
        sa.CheckConstraint("filled >= 0 AND filled <= amount", name=op.f("ck_paper_order_filled")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_order")),
        sa.UniqueConstraint("client_order_id", name=op.f("uq_paper_order_client_order_id")),
    )
    op.create_index(
        "ix_paper_order_open", "paper_order", ["account"], postgresql_where=sa.text("status = 'open'")
    )
    op.create_table(
        "result_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("mission_id", sa.BigInteger(), nullable=False),
        sa.Column("missionary_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.BigInteger()),
        sa.Column("task_name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("task_index", sa.Integer()),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("msg", sa.Text(), server_default="", nullable=False),
        sa.Column("flow_run_id", sa.Text()),
        sa.Column("logged_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role IN ('task', 'target')", name=op.f("ck_result_log_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_result_log")),
    )
    op.create_index("ix_result_log_mission", "result_log", ["mission_id", "id"])
    op.create_index("ix_result_log_missionary", "result_log", ["missionary_id", "id"])
    op.create_table(
        "task",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("params", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("can_run", sa.Text(), server_default="always_true", nullable=False),
        sa.Column("period", sa.Text()),
        sa.Column("retries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("retry_delay_seconds", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("timeout_seconds", sa.Float()),
        sa.Column("cache_seconds", sa.Float()),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
        sa.UniqueConstraint("name", name=op.f("uq_task_name")),
    )
    op.create_table(
        "trade_order",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("mission_id", sa.BigInteger()),
        sa.Column("missionary_id", sa.BigInteger()),
        sa.Column("task_id", sa.BigInteger()),
        sa.Column("role", sa.Text()),
        sa.Column("task_index", sa.Integer()),
        sa.Column("leaf", sa.Text(), server_default="", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("price", sa.Numeric()),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("reduce_only", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("exchange_order_id", sa.Text()),
        sa.Column("filled", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("average", sa.Numeric()),
        sa.Column("cost", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("fee", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True)),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('intent','sent','open','filled','cancelled','denied','rejected','unknown')",
            name=op.f("ck_trade_order_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_order")),
        sa.UniqueConstraint("client_order_id", name=op.f("uq_trade_order_client_order_id")),
    )
    op.create_index("ix_trade_order_leaf", "trade_order", ["missionary_id", "role", "task_index", "leaf"])
    op.create_index(
        "ix_trade_order_unsettled",
        "trade_order",
        ["account"],
        postgresql_where=sa.text("status IN ('intent','sent','open','unknown')"),
    )
    op.create_table(
        "mission",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "task_ids",
            postgresql.ARRAY(sa.BigInteger()),
            server_default=sa.text("'{}'::bigint[]"),
            nullable=False,
        ),
        sa.Column("target_id", sa.BigInteger()),
        sa.Column("walk", sa.Text(), server_default="progress", nullable=False),
        sa.Column("stop_on_fail", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("can_run_before_each_task", sa.Text(), server_default="", nullable=False),
        sa.Column("can_run_before_aim", sa.Text(), server_default="", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("crontab", postgresql.JSONB()),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("next_mission_id", sa.BigInteger()),
        sa.Column("repeat", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("account", sa.Text(), server_default="paper", nullable=False),
        sa.Column("mode", sa.Text(), server_default="paper", nullable=False),
        sa.Column("overlap", sa.Text(), server_default="skip", nullable=False),
        sa.Column("missed_runs", sa.Text(), server_default="latest", nullable=False),
        sa.Column("max_lateness_seconds", sa.Float(), server_default=sa.text("300"), nullable=False),
        sa.Column("expires_after_seconds", sa.Float()),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["next_mission_id"],
            ["mission.id"],
            name=op.f("fk_mission_next_mission_id_mission"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(["target_id"], ["task.id"], name=op.f("fk_mission_target_id_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mission")),
        sa.UniqueConstraint("name", name=op.f("uq_mission_name")),
    )
    op.create_table(
        "missionary",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("mission_id", sa.BigInteger(), nullable=False),
        sa.Column("task_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("target_id", sa.BigInteger()),
        sa.Column("mode", sa.Text(), server_default="paper", nullable=False),
        sa.Column("account", sa.Text(), server_default="paper", nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("next_index", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("result", sa.Text()),
        sa.Column("holder", sa.Text()),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True)),
        sa.Column("hold_rule", sa.Text()),
        sa.Column("hold_reason", sa.Text()),
        sa.CheckConstraint("next_index >= 0", name=op.f("ck_missionary_next_index")),
        sa.ForeignKeyConstraint(
            ["mission_id"], ["mission.id"], name=op.f("fk_missionary_mission_id_mission"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_missionary")),
    )
    op.create_index("ix_missionary_mission", "missionary", ["mission_id", "id"])
    op.create_index(
        "uq_missionary_open",
        "missionary",
        ["mission_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "passed_member",
        sa.Column("missionary_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("task_index", sa.Integer(), server_default=sa.text("-1"), nullable=False),
        sa.Column("leaf", sa.Text(), nullable=False),
        sa.Column("passed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["missionary_id"],
            ["missionary.id"],
            name=op.f("fk_passed_member_missionary_id_missionary"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("missionary_id", "role", "task_index", "leaf", name=op.f("pk_passed_member")),
    )
