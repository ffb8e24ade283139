// A peer in Node: Fastify as its documentation writes it, with schemas, and pg's pool of ten prepared connections.
// STATEMENTS is a JSON object of the statements that the floor sends: by name, the text and the values in their order.

import cluster from "node:cluster";
import { randomUUID } from "node:crypto";
import Fastify from "fastify";
import pg from "pg";

const PAGE = 50;
const TIMESTAMPTZ = 1184;
const statements = JSON.parse(process.env.STATEMENTS);
const workers = Number(process.argv[3]);

// A Date would lose the microseconds, and takes longer.
pg.types.setTypeParser(TIMESTAMPTZ, (text) => `${text.slice(0, 10)}T${text.slice(11, -3)}Z`);
const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  options: "-c timezone=UTC",
  max: 10,
  idleTimeoutMillis: 0,
});

async function run(name, values) {
  const [text, names] = statements[name];
  return (await pool.query({ name, text, values: names.map((value) => values[value]) })).rows;
}

const fields = {
  title: { type: "string", minLength: 1, maxLength: 255 },
  description: { type: ["string", "null"], maxLength: 10000 },
  completed: { type: "boolean" },
};
const task = {
  type: "object",
  properties: {
    id: { type: "string" },
    ...fields,
    created_at: { type: "string" },
    updated_at: { type: "string" },
  },
};
const page = {
  type: "object",
  properties: { items: { type: "array", items: task }, next_cursor: { type: ["string", "null"] } },
};
const headers = { type: "object", properties: { "x-user-id": { type: "string" } }, required: ["x-user-id"] };
const params = { type: "object", properties: { id: { type: "string", format: "uuid" } }, required: ["id"] };
const body = { type: "object", properties: fields, additionalProperties: false };

const app = Fastify();

app.post(
  "/v1/tasks",
  { schema: { headers, body: { ...body, required: ["title"] }, response: { 201: task } } },
  async (request, reply) => {
    const { title, description = null, completed = false } = request.body;
    const draft = { owner: request.headers["x-user-id"], task_id: randomUUID(), title, description, completed };
    const rows = await run("add", draft);
    return reply.code(201).send(rows[0]);
  },
);

app.get("/v1/tasks", { schema: { headers, response: { 200: page } } }, async (request) => {
  const rows = await run("list", { owner: request.headers["x-user-id"], limit: PAGE + 1 });
  const items = rows.slice(0, PAGE);
  return { items, next_cursor: rows.length > PAGE ? items[PAGE - 1].created_at : null };
});

app.get("/v1/tasks/:id", { schema: { headers, params, response: { 200: task } } }, async (request, reply) => {
  const rows = await run("get", { owner: request.headers["x-user-id"], task_id: request.params.id });
  return rows.length ? rows[0] : reply.code(404).send();
});

app.patch("/v1/tasks/:id", { schema: { headers, params, body, response: { 200: task } } }, async (request, reply) => {
  const changed = Object.keys(fields).filter((field) => field in request.body);
  const values = { owner: request.headers["x-user-id"], task_id: request.params.id, ...request.body };
  const rows = await run(`update ${changed}`, values);
  return rows.length ? rows[0] : reply.code(404).send();
});

app.delete("/v1/tasks/:id", { schema: { headers, params } }, async (request, reply) => {
  const rows = await run("delete", { owner: request.headers["x-user-id"], task_id: request.params.id });
  return reply.code(rows.length ? 204 : 404).send();
});

if (workers > 1 && cluster.isPrimary) {
  for (let worker = 0; worker < workers; worker++) cluster.fork();
} else {
  await app.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
}
