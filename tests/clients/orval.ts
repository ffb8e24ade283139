// The journey with orval's client.

import assert from "node:assert/strict";
import * as api from "./orval/client";

const created = await api.createTask({ title: "Buy milk" });
assert(created.status === 201);
const { id, etag } = created.data;
assert.equal(created.data.completed, false);

const page = await api.listTasks({ completed: false, limit: 10 });
assert.deepEqual(page.data, { items: [created.data], next_cursor: null });

const read = await api.getTask(id);
assert.deepEqual(read.data, created.data);

const patched = await api.updateTask(id, { description: "Oat" }, { "If-Match": etag });
assert(patched.status === 200);
assert.equal(patched.data.description, "Oat");

const tooLate = await api.updateTask(id, { description: "Soy" }, { "If-Match": etag });
assert(tooLate.status === 412);
assert(tooLate.data.type === "urn:taskward:problem:precondition-failed");

const toggled = await api.toggleTask(id);
assert(toggled.status === 200);
assert.equal(toggled.data.completed, true);

const counts = await api.countTasks();
assert.deepEqual(counts.data, { open: 0, completed: 1 });

const reopened = await api.updateTasks({ completed: false }, { completed: true });
assert.deepEqual(reopened.data, { changed: 1 });
const cleared = await api.deleteTasks({ completed: true });
assert.deepEqual(cleared.data, { deleted: 0 });

const deleted = await api.deleteTask(id);
assert.equal(deleted.status, 204);

const gone = await api.getTask(id);
assert(gone.status === 404);
assert(gone.data.type === "urn:taskward:problem:task-not-found");
// @ts-expect-error: the types of problems that can occur here are known, and this is none of them
assert(gone.data.type !== "urn:taskward:problem:malformed-body");

const refused = await api.createTask({ title: "" });
assert(refused.status === 422);
assert(refused.data.type === "urn:taskward:problem:invalid-request");
assert.equal(refused.data.errors?.[0]?.pointer, "#/title");
