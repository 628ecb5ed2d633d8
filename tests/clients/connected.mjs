// One of the official TypeScript clients, connected: SDK 1.x, or 2.x in either era.
import { createRequire } from "node:module";

export async function connected({ sdk, era, modules, url, key }) {
  const load = createRequire(`${modules}/`);
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
