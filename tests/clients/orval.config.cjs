module.exports = {
  tasks: {
    input: "./openapi.json",
    output: {
      target: "./orval/client.ts",
      client: "fetch",
      headers: true,
      override: { mutator: { path: "./orval_fetch.ts", name: "call" } },
    },
  },
};
