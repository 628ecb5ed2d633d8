// Plays the story of story.py with one of the official TypeScript clients: JSON on stdin, what the client handed on out.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const { sdk, era, modules, url, key, steps } = JSON.parse(await text(process.stdin));
const load = createRequire(`${modules}/`);

async function connected() {
  const about = { name: "holdgate-tests", version: "1" };
  const options = { requestInit: { headers: { Authorization: `Bearer ${key}` } } };
  if (sdk === 1) {
    const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = load("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const client = new Client(about);
    await client.connect(new StreamableHTTPClientTransport(new URL(url), options));
    return client;
  }
  const { Client, StreamableHTTPClientTransport } = load("@modelcontextprotocol/client");
  const mode = era === "2026-07-28" ? { pin: era } : "legacy";
  const client = new Client(about, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), options));
  return client;
}

const client = await connected();
const tools = [];
let cursor;
do {
  const listed = await client.listTools({ cursor });
  tools.push(...listed.tools);
  cursor = listed.nextCursor;
} while (cursor !== undefined);
const handed = {};
const raised = {};

const fill = (value) => {
  if (Array.isArray(value)) return value.map(fill);
  return typeof value === "string" && value.startsWith("$") ? handed[value.slice(1)].structured.action_id : value;
};

for (const { name, tool, arguments: given } of steps) {
  const filled = Object.fromEntries(Object.entries(given).map(([argument, value]) => [argument, fill(value)]));
  try {
    const result = await client.callTool({ name: tool, arguments: filled });
    handed[name] = {
      text: result.content[0].text,
      beside: result.content.length - 1,
      structured: result.structuredContent ?? null,
      is_error: result.isError ?? false,
    };
  } catch (error) {
    if (error.code === undefined) throw error;
    raised[name] = error.code;
  }
}
await client.close();
console.log(JSON.stringify({ tools, handed, raised }));
