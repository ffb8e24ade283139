"""The floor: the same statements by hand, in a bare ASGI application that checks nothing, logs nothing, bounds nothing.

It takes the fastest that there is: uvicorn with uvloop and httptools, orjson, psycopg's pool of prepared connections.
"""

import os
from typing import Any
from uuid import uuid4

import orjson
from psycopg_pool import AsyncConnectionPool
from starlette.types import Receive, Scope, Send

from tests.bench.statements import TEXTS

_PAGE = 50
_ITEM = "/v1/tasks/"
_FIELDS = ("id", "title", "description", "completed", "created_at", "updated_at")
_STATEMENTS = {name: text.encode() for name, text in TEXTS.items()}

pool: Any = AsyncConnectionPool(
    os.environ["DATABASE_URL"], min_size=10, max_size=10, kwargs={"autocommit": True}, open=False
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    method, path = scope["method"], scope["path"]
    values: dict[str, Any] = {"owner": next(value for name, value in scope["headers"] if name == b"x-user-id").decode()}
    if path.startswith(_ITEM):
        values["task_id"] = path[len(_ITEM) :]
    status = 200
    if method == "GET" and "task_id" in values:
        statement = "get"
    elif method == "GET":
        statement, values["limit"] = "list", _PAGE + 1
    elif method == "POST":
        draft = orjson.loads(await _body(receive))
        values |= {"task_id": uuid4(), "description": None, "completed": False, **draft}
        statement, status = "add", 201
    elif method == "PATCH":
        changes = orjson.loads(await _body(receive))
        values |= changes
        statement = f"update {','.join(changes)}"
    else:
        statement = "delete"
    async with pool.connection() as connection:
        rows = await (await connection.execute(_STATEMENTS[statement], values)).fetchall()
    if "task_id" not in values:
        items = [dict(zip(_FIELDS, row[1:], strict=True)) for row in rows[:_PAGE]]
        cursor = f"{rows[-2][5].timestamp()}" if len(rows) > _PAGE else None
        body = orjson.dumps({"items": items, "next_cursor": cursor}, option=orjson.OPT_UTC_Z)
    elif not rows:
        status, body = 404, b""
    elif method == "DELETE":
        status, body = 204, b""
    else:
        body = orjson.dumps(dict(zip(_FIELDS, rows[0][1:], strict=True)), option=orjson.OPT_UTC_Z)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await pool.open(wait=True)
            await send({"type": "lifespan.startup.complete"})
        else:
            await pool.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
