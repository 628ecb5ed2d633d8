// Looks at everything that is no tool with one of the official TypeScript clients: JSON on stdin, what it made of it on out.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const { sdk, era, modules, url, key, uris, prompt, completed, tool } = JSON.parse(await text(process.stdin));
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
const read = {};
for (const uri of uris) {
  try {
    read[uri] = (await client.readResource({ uri })).contents[0];
  } catch (error) {
    if (error.code === undefined) throw error;
    read[uri] = { code: error.code, message: error.message };
  }
}
const seen = {
  resources: (await client.listResources()).resources.map((one) => one.uri),
  templates: (await client.listResourceTemplates()).resourceTemplates.map((one) => one.uriTemplate),
  prompts: (await client.listPrompts()).prompts.map((one) => one.name),
  read,
  messages: (await client.getPrompt(prompt)).messages,
  completed: (await client.complete(completed)).completion.values,
  content: (await client.callTool(tool)).content.map((block) => block.type),
};
await client.close();
console.log(JSON.stringify(seen));
