// The journey with openapi-typescript's types and openapi-fetch.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./openapi_fetch/schema";

const [baseUrl, user] = process.argv.slice(2) as [string, string];
const api = createClient<paths>({ baseUrl, headers: { "X-User-Id": user } });

const created = await api.POST("/v1/tasks", { body: { title: "Buy milk" } });
assert(created.data);
const path = { task_id: created.data.id };
assert.equal(created.data.completed, false);

const page = await api.GET("/v1/tasks", { params: { query: { completed: false, limit: 10 } } });
assert.deepEqual(page.data, { items: [created.data], next_cursor: null });

const read = await api.GET("/v1/tasks/{task_id}", { params: { path } });
assert.deepEqual(read.data, created.data);

const ifMatch = { path, header: { "If-Match": created.data.etag } };
const patched = await api.PATCH("/v1/tasks/{task_id}", { params: ifMatch, body: { description: "Oat" } });
assert.equal(patched.data?.description, "Oat");

const tooLate = await api.PATCH("/v1/tasks/{task_id}", { params: ifMatch, body: { description: "Soy" } });
assert(tooLate.error?.type === "urn:taskward:problem:precondition-failed");

const toggled = await api.POST("/v1/tasks/{task_id}/toggle", { params: { path } });
assert.equal(toggled.data?.completed, true);

const counts = await api.GET("/v1/tasks/counts");
assert.deepEqual(counts.data, { open: 0, completed: 1 });

const reopened = await api.PATCH("/v1/tasks", { params: { query: { completed: true } }, body: { completed: false } });
assert.deepEqual(reopened.data, { changed: 1 });
const cleared = await api.DELETE("/v1/tasks", { params: { query: { completed: true } } });
assert.deepEqual(cleared.data, { deleted: 0 });

const deleted = await api.DELETE("/v1/tasks/{task_id}", { params: { path } });
assert.equal(deleted.response.status, 204);

const gone = await api.GET("/v1/tasks/{task_id}", { params: { path } });
assert(gone.error?.type === "urn:taskward:problem:task-not-found");
// @ts-expect-error: the types of problems that can occur here are known, and this is none of them
assert(gone.error.type !== "urn:taskward:problem:malformed-body");

const refused = await api.POST("/v1/tasks", { body: { title: "" } });
assert(refused.error?.type === "urn:taskward:problem:invalid-request");
assert.equal(refused.error.errors?.[0]?.pointer, "#/title");
