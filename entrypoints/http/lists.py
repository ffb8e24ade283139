"""The routes on many tasks: pages, counts, and changes of all tasks in one state."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic_core import to_json

from entrypoints.http import cursors, openapi, schemas
from entrypoints.http.bodies import JSON
from entrypoints.http.conditional import IfNoneMatch, is_known, page_etag
from entrypoints.http.dependencies import CurrentUser, Tasks
from entrypoints.http.queries import PageQuery, StateQuery
from entrypoints.http.route import task_router
from entrypoints.http.schemas import StateChange

router = task_router()


@router.get("", response_model=schemas.TaskPage, responses={200: openapi.LISTED, 304: openapi.PAGE_NOT_MODIFIED})
async def list_tasks(
    request: Request,
    user: CurrentUser,
    tasks: Tasks,
    query: Annotated[PageQuery, Query()],
    known: IfNoneMatch = None,
) -> Response:
    """List the calling user's tasks.

    For the next page, send `next_cursor` as `cursor`, or follow the `Link` header. The pages show every task that
    existed throughout exactly once, whatever is added or removed meanwhile. With a page's `ETag` in `If-None-Match` the
    answer is 304 while the page is unchanged.
    """
    page = await tasks.list(user, query.list_query())
    cursor = cursors.encode(page.next, query.order) if page.next else None
    body = to_json(schemas.page_body(page.items, cursor))
    headers = {"ETag": page_etag(body)}
    if cursor:
        next_query = urlencode({**request.query_params, "cursor": cursor})
        headers["Link"] = f'<?{next_query}>; rel="next"'
    if is_known(headers["ETag"], known):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=JSON)


@router.get("/counts", response_model=schemas.Counts, responses={200: openapi.COUNTED})
async def count_tasks(user: CurrentUser, tasks: Tasks) -> Response:
    """Count the calling user's tasks by state."""
    counts = await tasks.count(user)
    return JSONResponse({"open": counts.open, "completed": counts.completed})


@router.patch(
    "",
    response_model=schemas.Changed,
    responses={200: openapi.CHANGED, **openapi.BODY},
)
async def update_tasks(
    user: CurrentUser,
    tasks: Tasks,
    query: Annotated[StateQuery, Query()],
    body: StateChange,
) -> Response:
    """Complete or reopen all of the calling user's tasks in one state, at once."""
    return JSONResponse({"changed": await tasks.update_all(user, completed=query.completed, to=body.completed)})


@router.delete("", response_model=schemas.Deleted, responses={200: openapi.DELETED_MANY, **openapi.WRITE})
async def delete_tasks(user: CurrentUser, tasks: Tasks, query: Annotated[StateQuery, Query()]) -> Response:
    """Delete all of the calling user's tasks in one state, at once."""
    return JSONResponse({"deleted": await tasks.delete_all(user, completed=query.completed)})
