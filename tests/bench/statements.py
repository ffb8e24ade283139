"""The statements that the floor and Fastify send: the texts that Taskward sends, by name."""

import json
import re

from adapters.postgres import statements
from domain.listing import Order

_PARAMETER = re.compile(r"%\((\w+)\)s")

TEXTS = {
    "add": statements.ADD.text,
    "get": statements.GET.text,
    "list": statements.LIST[False, False, Order.NEWEST].text,
    "delete": statements.DELETE[False].text,
} | {
    f"update {','.join(fields)}": statement.text
    for (fields, expects), statement in statements.UPDATE.items()
    if fields and not expects
}


def numbered() -> str:
    """As JSON, by name: the text with $1, $2, … and the names of the values in that order, as Node's driver has it."""
    found = {}
    for name, text in TEXTS.items():
        names = list(dict.fromkeys(_PARAMETER.findall(text)))
        found[name] = (_PARAMETER.sub(lambda match, names=names: f"${names.index(match[1]) + 1}", text), names)  # type: ignore[misc]  # a default
    return json.dumps(found)
