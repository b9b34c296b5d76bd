// OpenAI's own client for Node.js, pointed at this server. One case is one thing that its users do.
// Usage: node client.mjs URL FOLDER, where the packages are below FOLDER. Prints one line of JSON for each case.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [url, folder] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { OpenAI, NotFoundError, BadRequestError } = require("openai");
const { ResponsesWS } = require("openai/resources/responses/ws");
const { zodTextFormat } = require("openai/helpers/zod");
const { z } = require("zod");

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 });
const model = "scripted";
const tools = [
  {
    type: "function",
    name: "weather",
    description: "The weather of a city.",
    parameters: {
      type: "object",
      properties: { city: { enum: ["Oslo", "Rome"] } },
      required: ["city"],
      additionalProperties: false,
    },
    strict: true,
  },
];
// The events of the case that runs, stream by stream, for the checkers.
let streams = [];

async function read(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  streams.push(events);
  return events;
}

function said(events) {
  return events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join("");
}

// One turn over a WebSocket: its events, up to the last of a response or an error.
async function ask(connection, body) {
  connection.send({ type: "response.create", model, ...body });
  const events = [];
  for await (const { type, message, error } of connection.stream()) {
    if (type === "error") return error.error.error;
    if (type === "message") events.push(message);
    if (message?.type === "response.completed") break;
  }
  streams.push(events);
  return events;
}

async function connected(use) {
  const connection = new ResponsesWS(client);
  const closed = new Promise((resolve) => connection.socket.on("close", resolve));
  try {
    await use(connection);
  } finally {
    connection.close();
  }
  assert.equal(await closed, 1000);
}

const cases = {
  async create() {
    const made = await client.responses.create({ model, input: "hi" });
    assert.deepEqual([made.status, made.output_text], ["completed", "hello"]);
    assert.match(made._request_id, /^req_/);
    const next = await client.responses.create({ model, input: "hi", previous_response_id: made.id });
    assert.equal(next.previous_response_id, made.id);
    assert.ok(next.usage.input_tokens > made.usage.total_tokens);
  },

  async stream() {
    const events = await read(await client.responses.create({ model, input: "hi", stream: true }));
    assert.equal(events[0].type, "response.created");
    assert.equal(said(events), "hello");
    assert.equal(events.at(-1).response.output[0].content[0].text, "hello");
  },

  async stream_helper() {
    const stream = client.responses.stream({ model, input: "hi" });
    const final = await stream.finalResponse();
    assert.deepEqual([final.status, final.output_text], ["completed", "hello"]);
  },

  async retrieve() {
    const made = await client.responses.create({ model, input: "hi" });
    const found = await client.responses.retrieve(made.id);
    assert.deepEqual(found.output, made.output);
  },

  async retrieve_stream() {
    const events = await read(await client.responses.create({ model, input: "hi", stream: true, background: true }));
    const { id } = events[0].response;
    const after = events[3].sequence_number;
    const rest = await read(await client.responses.retrieve(id, { stream: true, starting_after: after }));
    assert.deepEqual(rest, events.slice(4));
    const again = client.responses.stream({ response_id: id, starting_after: 0 });
    assert.equal((await again.finalResponse()).output_text, "hello");
  },

  async structured_output() {
    const Person = z.object({ name: z.string(), age: z.number().int() });
    const text = { format: zodTextFormat(Person, "person") };
    const made = await client.responses.parse({ model, input: "person", text });
    assert.deepEqual(made.output_parsed, { name: "Ada", age: 36 });
  },

  async tools() {
    const weather = ({ city }) => `It rains in ${city}.`;
    let turn = await client.responses.create({ model, input: "weather?", tools });
    const called = [];
    while (turn.output.some((item) => item.type === "function_call")) {
      const outputs = turn.output
        .filter((item) => item.type === "function_call")
        .map((call) => {
          called.push(call.name);
          return {
            type: "function_call_output",
            call_id: call.call_id,
            output: weather(JSON.parse(call.arguments)),
          };
        });
      turn = await client.responses.create({ model, input: outputs, tools, previous_response_id: turn.id });
    }
    assert.deepEqual(called, ["weather"]);
    assert.equal(turn.output_text, "Take a coat.");
  },

  async tools_streamed() {
    const events = await read(await client.responses.create({ model, input: "weather?", tools, stream: true }));
    const done = events.find((event) => event.type === "response.function_call_arguments.done");
    assert.deepEqual(JSON.parse(done.arguments), { city: "Oslo" });
  },

  async cancel() {
    const made = await client.responses.create({ model, input: "endless", background: true });
    assert.ok(["queued", "in_progress"].includes(made.status));
    assert.equal((await client.responses.cancel(made.id)).status, "cancelled");
    const events = await read(await client.responses.retrieve(made.id, { stream: true }));
    assert.equal(events.at(-1).type, "response.incomplete");
  },

  async leave() {
    const stream = await client.responses.create({ model, input: "endless", stream: true });
    let id;
    for await (const event of stream) {
      id ??= event.response?.id;
      if (event.type === "response.output_text.delta") break;
    }
    let status = "in_progress";
    while (status === "in_progress") ({ status } = await client.responses.retrieve(id));
    assert.equal(status, "cancelled");
  },

  async delete() {
    const made = await client.responses.create({ model, input: "hi" });
    await client.responses.delete(made.id);
    await assert.rejects(client.responses.retrieve(made.id), NotFoundError);
  },

  async input_items() {
    const words = ["one", "two", "three"];
    const made = await client.responses.create({ model, input: words.map((content) => ({ role: "user", content })) });
    const listed = [];
    for await (const item of client.responses.inputItems.list(made.id, { limit: 2, order: "asc" })) listed.push(item);
    assert.deepEqual(listed.map((item) => item.content[0].text), words);
  },

  async input_tokens() {
    const counted = await client.responses.inputTokens.count({ model, input: "hi" });
    const made = await client.responses.create({ model, input: "hi" });
    assert.equal(counted.input_tokens, made.usage.input_tokens);
  },

  async compact() {
    const made = await client.responses.create({ model, input: "hi" });
    const compacted = await client.responses.compact({ model, previous_response_id: made.id });
    const input = [...compacted.output, { role: "user", content: "hi" }];
    assert.equal((await client.responses.create({ model, input })).output_text, "hello");
  },

  async websocket() {
    await connected(async (connection) => {
      const first = await ask(connection, { input: "hi", store: false });
      assert.equal(said(first), "hello");
      const { id, usage } = first.at(-1).response;
      const second = (await ask(connection, { input: "hi", previous_response_id: id, store: false })).at(-1).response;
      assert.equal(second.previous_response_id, id);
      assert.ok(second.usage.input_tokens > usage.total_tokens);
    });
  },

  async websocket_refusal() {
    await connected(async (connection) => {
      const refused = await ask(connection, { input: "hi", temperature: 3 });
      assert.deepEqual([refused.code, refused.param], ["invalid_value", "temperature"]);
      assert.equal(said(await ask(connection, { input: "hi" })), "hello");
    });
  },

  async models() {
    const listed = [];
    for await (const served of client.models.list()) listed.push(served.id);
    assert.deepEqual(listed, [model]);
  },

  async refusal() {
    const refused = client.responses.create({ model, input: "hi", temperature: 3 });
    await assert.rejects(refused, (error) => {
      assert.ok(error instanceof BadRequestError);
      assert.deepEqual([error.code, error.param], ["invalid_value", "temperature"]);
      return true;
    });
  },
};

for (const [name, run] of Object.entries(cases)) {
  streams = [];
  let error = null;
  try {
    await run();
  } catch (fault) {
    error = fault.stack;
  }
  console.log(JSON.stringify({ name, error, streams }));
}
