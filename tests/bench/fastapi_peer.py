"""A peer: FastAPI with SQLModel as its tutorial writes it. Plain functions, a session for each request."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, Header, HTTPException, Query
from sqlmodel import Field, Session, SQLModel, create_engine, desc, select

User = Annotated[str, Header(alias="X-User-Id")]


def _now() -> datetime:
    return datetime.now(UTC)


class TaskBase(SQLModel):
    title: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=10_000)
    completed: bool = False


class Task(TaskBase, table=True):
    __tablename__ = "tasks"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: str = Field(index=True)
    created_at: datetime = Field(default_factory=_now)
    updated_at: datetime = Field(default_factory=_now)


class TaskCreate(TaskBase):
    pass


class TaskPublic(TaskBase):
    id: UUID
    created_at: datetime
    updated_at: datetime


class TaskUpdate(SQLModel):
    title: str | None = Field(default=None, min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=10_000)
    completed: bool | None = None


engine = create_engine(os.environ["DATABASE_URL"])


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
app = FastAPI()


@app.post("/tasks/", response_model=TaskPublic, status_code=201)
def create_task(task: TaskCreate, user: User, session: SessionDep) -> Task:
    db_task = Task.model_validate(task, update={"user_id": user})
    session.add(db_task)
    session.commit()
    session.refresh(db_task)
    return db_task


@app.get("/tasks/", response_model=list[TaskPublic])
def read_tasks(
    user: User, session: SessionDep, offset: int = 0, limit: Annotated[int, Query(le=100)] = 50
) -> list[Task]:
    newest_first = select(Task).where(Task.user_id == user).order_by(desc(Task.created_at), desc(Task.id))
    return list(session.exec(newest_first.offset(offset).limit(limit)).all())


@app.get("/tasks/{task_id}", response_model=TaskPublic)
def read_task(task_id: UUID, user: User, session: SessionDep) -> Task:
    return _own(session, user, task_id)


@app.patch("/tasks/{task_id}", response_model=TaskPublic)
def update_task(task_id: UUID, task: TaskUpdate, user: User, session: SessionDep) -> Task:
    db_task = _own(session, user, task_id)
    db_task.sqlmodel_update(task.model_dump(exclude_unset=True), update={"updated_at": _now()})
    session.add(db_task)
    session.commit()
    session.refresh(db_task)
    return db_task


@app.delete("/tasks/{task_id}", status_code=204)
def delete_task(task_id: UUID, user: User, session: SessionDep) -> None:
    session.delete(_own(session, user, task_id))
    session.commit()


def _own(session: Session, user: str, task_id: UUID) -> Task:
    task = session.get(Task, task_id)
    if not task or task.user_id != user:
        raise HTTPException(status_code=404, detail="Task not found")
    return task
