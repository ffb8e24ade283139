"""The table of tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The characters that Python's str.strip() removes.
WHITE_SPACE = (
    r"E'\t\n\u000b\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    r"\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'"
)


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("completed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.CheckConstraint("id::text ~ '^.{14}4.{4}[89ab]'", name=op.f("ck_tasks_id_is_uuid_4")),
        sa.CheckConstraint("user_id <> ''", name=op.f("ck_tasks_user_id_not_empty")),
        sa.CheckConstraint(f"user_id = btrim(user_id, {WHITE_SPACE})", name=op.f("ck_tasks_user_id_trimmed")),
        sa.CheckConstraint(
            r"user_id !~ '[\u0001-\u001f\u007f-\u009f]'", name=op.f("ck_tasks_user_id_without_control_characters")
        ),
        sa.CheckConstraint("title <> ''", name=op.f("ck_tasks_title_not_empty")),
        sa.CheckConstraint(f"title = btrim(title, {WHITE_SPACE})", name=op.f("ck_tasks_title_trimmed")),
        sa.CheckConstraint("char_length(description) <= 10000", name=op.f("ck_tasks_description_length")),
        sa.CheckConstraint("updated_at >= created_at", name=op.f("ck_tasks_updated_at_not_before_created_at")),
        sa.CheckConstraint(
            "created_at >= '0001-01-02 00:00:00+00' AND updated_at < '9999-12-31 00:00:00+00'",
            name=op.f("ck_tasks_times_within_years_1_to_9999"),
        ),
    )
    op.create_index("ix_tasks_user_id_created_at_id", "tasks", ["user_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_table("tasks")
