// The journey with hey-api's client.

import assert from "node:assert/strict";
import { client } from "./hey_api/client.gen";
import * as api from "./hey_api/sdk.gen";

const [baseUrl, user] = process.argv.slice(2) as [string, string];
client.setConfig({ baseUrl, auth: user });

const created = await api.createTask({ body: { title: "Buy milk" } });
assert(created.data);
const path = { task_id: created.data.id };
assert.equal(created.data.completed, false);

const page = await api.listTasks({ query: { completed: false, limit: 10 } });
assert.deepEqual(page.data, { items: [created.data], next_cursor: null });

const read = await api.getTask({ path });
assert.deepEqual(read.data, created.data);

const headers = { "If-Match": created.data.etag };
const patched = await api.updateTask({ path, headers, body: { description: "Oat" } });
assert.equal(patched.data?.description, "Oat");

const tooLate = await api.updateTask({ path, headers, body: { description: "Soy" } });
assert(tooLate.error?.type === "urn:taskward:problem:precondition-failed");

const toggled = await api.toggleTask({ path });
assert.equal(toggled.data?.completed, true);

const counts = await api.countTasks();
assert.deepEqual(counts.data, { open: 0, completed: 1 });

const reopened = await api.updateTasks({ query: { completed: true }, body: { completed: false } });
assert.deepEqual(reopened.data, { changed: 1 });
const cleared = await api.deleteTasks({ query: { completed: true } });
assert.deepEqual(cleared.data, { deleted: 0 });

const deleted = await api.deleteTask({ path });
assert.equal(deleted.response?.status, 204);

const gone = await api.getTask({ path });
assert(gone.error?.type === "urn:taskward:problem:task-not-found");
// @ts-expect-error: the types of problems that can occur here are known, and this is none of them
assert(gone.error.type !== "urn:taskward:problem:malformed-body");

const refused = await api.createTask({ body: { title: "" } });
assert(refused.error?.type === "urn:taskward:problem:invalid-request");
assert.equal(refused.error.errors?.[0]?.pointer, "#/title");
