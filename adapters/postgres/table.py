"""The table as SQLModel sees it. Migrations create it; statements and the drift check are built from this class."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Index, MetaData, String, Text, Uuid, func, text
from sqlmodel import Field, SQLModel

from domain.rules import DESCRIPTION_MAX, TITLE_MAX, USER_ID_MAX

# The characters that str.strip() removes.
WHITE_SPACE = (
    r"E'\t\n\u000b\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    r"\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'"
)
# A regular expression's class of all control characters but U+0000, which PostgreSQL cannot store.
CONTROL = r"'[\u0001-\u001f\u007f-\u009f]'"
# PostgreSQL accepts times outside these bounds, but Python cannot read them back.
WITHIN_PYTHONS_CALENDAR = "created_at >= '0001-01-02 00:00:00+00' AND updated_at < '9999-12-31 00:00:00+00'"
UUID_VERSION_4 = "'^.{14}4.{4}[89ab]'"


class TaskRow(SQLModel, table=True):
    """One row of `tasks`. Private to the adapter; nothing validates it on construction."""

    __tablename__ = "tasks"
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=func.gen_random_uuid()))
    user_id: str = Field(sa_column=Column(String(USER_ID_MAX), nullable=False))
    title: str = Field(sa_column=Column(String(TITLE_MAX), nullable=False))
    description: str | None = Field(sa_column=Column(Text, nullable=True))
    completed: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now()))
    updated_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now()))

    __table_args__ = (
        CheckConstraint(f"id::text ~ {UUID_VERSION_4}", "id_is_uuid_4"),
        CheckConstraint("user_id <> ''", "user_id_not_empty"),
        CheckConstraint(f"user_id = btrim(user_id, {WHITE_SPACE})", "user_id_trimmed"),
        CheckConstraint(f"user_id !~ {CONTROL}", "user_id_without_control_characters"),
        CheckConstraint("title <> ''", "title_not_empty"),
        CheckConstraint(f"title = btrim(title, {WHITE_SPACE})", "title_trimmed"),
        CheckConstraint(f"char_length(description) <= {DESCRIPTION_MAX}", "description_length"),
        CheckConstraint("updated_at >= created_at", "updated_at_not_before_created_at"),
        CheckConstraint(WITHIN_PYTHONS_CALENDAR, "times_within_years_1_to_9999"),
        # This is the listing's order, read forwards or backwards, so no sort is needed.
        Index(None, "user_id", "created_at", "id"),
        # The key of a distributed table: a shard can only check uniqueness among its own rows.
        {"info": {"alternative_primary_keys": [("user_id", "id")]}},
    )
