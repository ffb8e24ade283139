"""Reads queries: which page of a list, or which tasks to change together."""

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator
from pydantic_core.core_schema import ValidationInfo

from domain.listing import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, ListQuery, Order, Position
from entrypoints.http import cursors

_ORDERS: Final = {order.value: order for order in Order}


# Strict parsers: pydantic would take "on" for a boolean and 1.0 for an integer.


def _boolean(value: object) -> bool:
    if value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value == "true"


def _limit(value: Any) -> int:
    if not re.fullmatch("[0-9]{1,9}", str(value)) or not 1 <= int(value) <= PAGE_LIMIT_MAX:
        raise ValueError(f"must be a whole number from 1 to {PAGE_LIMIT_MAX}")
    return int(value)


def _order(value: Any) -> Order:
    if value not in _ORDERS:
        raise ValueError(f"must be {' or '.join(_ORDERS)}")
    return _ORDERS[value]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StateQuery(_Query):
    """Selects all tasks in one state."""

    completed: Annotated[
        bool,
        BeforeValidator(_boolean),
        Field(description="Select the completed tasks (`true`) or the open ones (`false`)."),
    ]


class PageQuery(_Query):
    """Selects a page of a list."""

    limit: Annotated[
        int,
        BeforeValidator(_limit),
        Field(description="The most tasks on a page.", json_schema_extra={"minimum": 1, "maximum": PAGE_LIMIT_MAX}),
    ] = PAGE_LIMIT_DEFAULT
    order: Annotated[
        Order,
        BeforeValidator(_order),
        WithJsonSchema({"type": "string", "enum": list(_ORDERS), "default": Order.NEWEST.value}),
        Field(description="By time of creation. A cursor is valid for its own order only."),
    ] = Order.NEWEST
    cursor: Annotated[
        Position | None,
        WithJsonSchema({"type": "string", "pattern": f"^([A-Za-z0-9_-]{{{cursors.LENGTH}}})?$"}),
        Field(description="`next_cursor` of the previous page. Empty means the first page."),
    ] = None
    completed: Annotated[
        bool | None,
        BeforeValidator(_boolean),
        WithJsonSchema({"type": "boolean"}),
        Field(description="Only the completed tasks (`true`) or the open ones (`false`)."),
    ] = None

    @field_validator("cursor", mode="before")
    @classmethod
    def _decode(cls, value: Any, info: ValidationInfo) -> Position | None:
        return cursors.decode(value, info.data.get("order", Order.NEWEST)) if value else None

    def list_query(self) -> ListQuery:
        return ListQuery(self.limit, self.cursor, self.completed, self.order)
