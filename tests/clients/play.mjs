// Plays the story of story.py with one of the official TypeScript clients: JSON on stdin, what the client handed on out.
import { text } from "node:stream/consumers";

import { connected } from "./connected.mjs";

const { sdk, era, modules, url, key, steps } = JSON.parse(await text(process.stdin));
const client = await connected({ sdk, era, modules, url, key });
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
