// An MCP server that sells tool calls by x402: the official MCP server and its streamable HTTP
// transport, and the official resource server and facilitator, which settle on the chain it is told
// about.
//
// Environment: as of server.mjs. At /mcp it keeps sessions and answers in streams of events; at /json
// it keeps none and answers in JSON. GET /served counts what was given, and the sessions that are
// open. Prints one line {"ready":true,...} once it listens; ends when its standard input closes.
import { randomUUID } from "node:crypto";
import express from "express";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { x402ResourceServer } from "@x402/core/server";
import { ExactEvmScheme as ExactServer } from "@x402/evm/exact/server";
import { z } from "zod";

import { facilitatorOn, relayerOf } from "./facilitator.mjs";
import { closeWithStdin, setting } from "./settings.mjs";

const chainId = Number(setting("CHAIN_ID", /^[1-9][0-9]{0,14}$/));
const rpcUrl = setting("RPC_URL", /^http:\/\/(127\.0\.0\.1|localhost):[0-9]+\/?$/);
const asset = setting("USDC", /^0x[0-9a-fA-F]{40}$/);
const payTo = setting("PAY_TO", /^0x[0-9a-fA-F]{40}$/);
const domain = { name: setting("USDC_NAME", /./), version: setting("USDC_VERSION", /./) };
const relayer = relayerOf(setting("RELAYER_KEY", /^0x[0-9a-fA-F]{64}$/));
const network = `eip155:${chainId}`;

const facilitator = await facilitatorOn(rpcUrl, chainId, relayer);
const seller = new x402ResourceServer(facilitator).register(network, new ExactServer());
await seller.initialize();

/** How often each tool has given what it sells. */
const served = { rates: 0, hello: 0, broken: 0 };

/** What a tool's result says: the terms, whole and as text. */
function asking(terms) {
  return {
    isError: true,
    structuredContent: terms,
    content: [{ type: "text", text: JSON.stringify(terms) }],
  };
}

/** A tool that is paid: it works once the payment is good, and settles once it has worked. */
function paid(tool, units, work) {
  return async (args, { _meta: meta }) => {
    const terms = await seller.buildPaymentRequirements({
      scheme: "exact",
      network,
      payTo,
      price: { asset, amount: units, extra: domain },
      maxTimeoutSeconds: 60,
    });
    const resource = { url: `mcp://tool/${tool}`, description: `The tool ${tool}` };
    const ask = async (why) =>
      asking(await seller.createPaymentRequiredResponse(terms, resource, why));
    const payment = meta?.["x402/payment"];
    if (payment === undefined) return ask("Payment required");
    const matching = seller.findMatchingRequirements(terms, payment);
    if (matching === undefined) return ask("These are not the terms");
    const verified = await seller.verifyPayment(payment, matching);
    if (!verified.isValid) return ask(verified.invalidReason);
    const result = await work(args);
    if (result.isError) return result;
    const settled = await seller.settlePayment(payment, matching);
    return settled.success
      ? { ...result, _meta: { "x402/payment-response": settled } }
      : ask(settled.errorReason);
  };
}

function text(said) {
  return { content: [{ type: "text", text: said }] };
}

/** One server for one session: what it sells. */
function desk() {
  const server = new McpServer({ name: "rates", version: "1.0.0" });
  const rates = async ({ week }) => {
    served.rates += 1;
    return { ...text(`Week ${week}: 1840`), structuredContent: { week, rate: 1840 } };
  };
  const broken = async () => {
    served.broken += 1;
    return { ...text("The data are gone."), isError: true };
  };
  const hello = async () => {
    served.hello += 1;
    return text("Hello.");
  };
  const week = { week: z.number().int() };
  server.registerTool("rates", { inputSchema: week }, paid("rates", "20000", rates));
  server.registerTool("broken", { inputSchema: {} }, paid("broken", "10000", broken));
  server.registerTool("hello", { inputSchema: {} }, hello);
  return server;
}

const app = express();
app.disable("x-powered-by");
app.use(express.json({ limit: "256kb" }));
const sessions = new Map();
app.get("/served", (_request, response) => response.json({ ...served, sessions: sessions.size }));
app.all("/mcp", async (request, response) => {
  let transport = sessions.get(request.headers["mcp-session-id"]);
  if (transport === undefined) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
      onsessionclosed: (id) => sessions.delete(id),
    });
    await desk().connect(transport);
  }
  await transport.handleRequest(request, response, request.body);
});
app.all("/json", async (request, response) => {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: undefined,
    enableJsonResponse: true,
  });
  await desk().connect(transport);
  await transport.handleRequest(request, response, request.body);
});

const listener = app.listen(0, "127.0.0.1", (error) => {
  if (error) throw error;
  const url = `http://127.0.0.1:${listener.address().port}`;
  console.log(JSON.stringify({ ready: true, url, pay_to: payTo, network, asset }));
});
closeWithStdin(() => listener.close());
