// The conformance suite has no option for a credential, and the gateway serves nobody without one.
// These channels tell of every request before it leaves: of fetch and the undici package, and of node:http.
import { subscribe } from "node:diagnostics_channel";

const credential = `Bearer ${process.env.HOLDGATE_KEY}`;
const gateway = process.env.HOLDGATE_ORIGIN;

subscribe("undici:request:create", ({ request }) => {
  if (request.origin === gateway) request.addHeader("authorization", credential);
});
subscribe("http.client.request.created", ({ request }) => {
  if (`${request.protocol}//${request.getHeader("host")}` === gateway) request.setHeader("authorization", credential);
});
