"""What a query says: which page of a list, and which tasks a change of many is about."""

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator
from pydantic_core.core_schema import ValidationInfo

from domain.listing import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, ListQuery, Order, Position
from entrypoints.http import cursors

_ORDERS: Final = {order.value: order for order in Order}


def _flag(value: object) -> bool:
    """Lenient parsing would take "on" for a boolean, and 1.0 for an integer."""
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
    """All tasks in one state."""

    completed: Annotated[
        bool,
        BeforeValidator(_flag),
        Field(description="Which tasks: those that are, or are not, completed."),
    ]


class PageQuery(_Query):
    """Which page of the list."""

    limit: Annotated[
        int,
        BeforeValidator(_limit),
        Field(description="How many tasks at most.", json_schema_extra={"minimum": 1, "maximum": PAGE_LIMIT_MAX}),
    ] = PAGE_LIMIT_DEFAULT
    order: Annotated[
        Order,
        BeforeValidator(_order),
        WithJsonSchema({"type": "string", "enum": list(_ORDERS), "default": Order.NEWEST.value}),
        Field(description="By the time of creation. A cursor belongs to the order that it was given in."),
    ] = Order.NEWEST
    cursor: Annotated[
        Position | None,
        WithJsonSchema({"type": "string", "pattern": f"^([A-Za-z0-9_-]{{{cursors.LENGTH}}})?$"}),
        Field(description="`next_cursor` of the page before. Empty means the first page."),
    ] = None
    completed: Annotated[
        bool | None,
        BeforeValidator(_flag),
        WithJsonSchema({"type": "boolean"}),
        Field(description="Only the tasks that are, or are not, completed."),
    ] = None

    @field_validator("cursor", mode="before")
    @classmethod
    def _decoded(cls, value: Any, so_far: ValidationInfo) -> Position | None:
        return cursors.decode(value, so_far.data.get("order", Order.NEWEST)) if value else None

    def asked(self) -> ListQuery:
        return ListQuery(self.limit, self.cursor, self.completed, self.order)
