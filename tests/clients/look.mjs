// Looks at everything that is no tool with one of the official TypeScript clients: JSON on stdin, what it made of it on out.
import { text } from "node:stream/consumers";

import { connected } from "./connected.mjs";

const { sdk, era, modules, url, key, uris, prompt, completed, tool } = JSON.parse(await text(process.stdin));
const client = await connected({ sdk, era, modules, url, key });
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
