"""A check that Alembic lacks: the primary key is the model's, or an alternative that the model lists."""

import sys

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import PriorityDispatchResult
from sqlalchemy import Table


def compare(
    _context: AutogenContext,
    changes: ops.ModifyTableOps,
    _schema: str | None,
    _name: str,
    found: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    if found is not None and model is not None:
        keys = [tuple(model.primary_key.columns.keys()), *model.info.get("alternative_primary_keys", ())]
        if found.primary_key.name != model.primary_key.name or tuple(found.primary_key.columns.keys()) not in keys:
            if found.primary_key.name:
                changes.ops.append(ops.DropConstraintOp.from_constraint(found.primary_key))
            changes.ops.append(ops.AddConstraintOp.from_constraint(model.primary_key))
    return PriorityDispatchResult.CONTINUE


def setup(plugin: Plugin) -> None:
    plugin.add_autogenerate_comparator(compare, "table", "primary_key")


Plugin.setup_plugin_from_module(sys.modules[__name__], __name__)
