"""The statements that the floor and Fastify send: the texts that Taskward sends, by name."""

import json
import re
from typing import cast

from sqlalchemy import create_engine
from sqlalchemy.sql import ClauseElement, Executable

from adapters.postgres import statements

_DIALECT = create_engine("postgresql+psycopg://").dialect
_PARAMETER = re.compile(r"%\((\w+)\)s")


def _text(statement: Executable) -> str:
    return str(cast("ClauseElement", statement).compile(dialect=_DIALECT))


TEXTS = {
    "add": _text(statements.ADD),
    "get": _text(statements.GET),
    "list": _text(statements.LIST[False, False, True]),
    "delete": _text(statements.DELETE[False]),
} | {f"update {','.join(fields)}": _text(update[False]) for fields, update in statements.UPDATE.items() if fields}


def numbered() -> str:
    """As JSON, by name: the text with $1, $2, … and the names of the values in that order, as Node's driver has it."""
    found = {}
    for name, text in TEXTS.items():
        names = list(dict.fromkeys(_PARAMETER.findall(text)))
        found[name] = (_PARAMETER.sub(lambda match, names=names: f"${names.index(match[1]) + 1}", text), names)  # type: ignore[misc]  # a default
    return json.dumps(found)
