"""A task's id in a path."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import BeforeValidator
from starlette.convertors import StringConvertor, register_url_convertor

from entrypoints.http import openapi


class _NotCounts(StringConvertor):
    """Any segment but the one that has routes of its own, so that DELETE of that is 405."""

    regex = "(?!counts(?:/|$))[^/]+"


register_url_convertor("task", _NotCounts())


def _plain(value: object) -> object:
    """Refuses the spellings of an id (in braces, as a URN, without hyphens) in which it is not given out."""
    if not re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", str(value)):
        raise ValueError("must be a UUID")
    return value


TaskId = Annotated[UUID, BeforeValidator(_plain), Path(description="The task's id.", examples=[openapi.EXAMPLE_ID])]
