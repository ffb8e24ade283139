"""The task's id in a path."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import BeforeValidator
from starlette.convertors import StringConvertor, register_url_convertor

from entrypoints.http import openapi


class _AnyButCounts(StringConvertor):
    """Matches any segment except `counts`, which has a route of its own, so that DELETE on it is 405."""

    regex = "(?!counts(?:/|$))[^/]+"


register_url_convertor("task", _AnyButCounts())


def _require_hyphens(value: object) -> object:
    """Refuse the other spellings of a UUID (braces, URN, no hyphens): no answer uses them."""
    if not re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", str(value)):
        raise ValueError("must be a UUID")
    return value


TaskId = Annotated[
    UUID, BeforeValidator(_require_hyphens), Path(description="The task's id.", examples=[openapi.EXAMPLE_ID])
]
