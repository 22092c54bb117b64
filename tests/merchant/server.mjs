// An official x402 v2 seller: the official express middleware, the official resource server and
// the official facilitator in one process, settling on the chain it is told about.
//
// Environment: RPC_URL, CHAIN_ID, USDC (contract), USDC_NAME, USDC_VERSION (EIP-712 domain),
// RELAYER_KEY (pays gas for settlements), PAY_TO (receives the money). A test chain only: the
// relayer's gas is given by anvil_setBalance, which no real chain offers.
//
// LATE (refuse or cut, else absent) makes the facilitator one that settles after its time-out: it
// answers with an error, or the connection is cut, and what it was given is taken to the chain when
// somebody posts to /settle-owed.
//
// Prints one line {"ready":true,...} once it listens; ends when its standard input closes, so it
// cannot outlive the test that started it.
import express from "express";
import { x402ResourceServer } from "@x402/core/server";
import { ExactEvmScheme as ExactServer } from "@x402/evm/exact/server";
import {
  createEIP712OfferReceiptIssuer,
  createOfferReceiptExtension,
  declareOfferReceiptExtension,
} from "@x402/extensions/offer-receipt";
import { paymentMiddleware } from "@x402/express";

import { facilitatorOn, relayerOf } from "./facilitator.mjs";
import { closeWithStdin, setting } from "./settings.mjs";

const chainId = Number(setting("CHAIN_ID", /^[1-9][0-9]{0,14}$/));
const rpcUrl = setting("RPC_URL", /^http:\/\/(127\.0\.0\.1|localhost):[0-9]+\/?$/);
const asset = setting("USDC", /^0x[0-9a-fA-F]{40}$/);
const payTo = setting("PAY_TO", /^0x[0-9a-fA-F]{40}$/);
const domain = { name: setting("USDC_NAME", /./), version: setting("USDC_VERSION", /./) };
const relayer = relayerOf(setting("RELAYER_KEY", /^0x[0-9a-fA-F]{64}$/));
const network = `eip155:${chainId}`;
const late = "LATE" in process.env ? setting("LATE", /^(refuse|cut)$/) : undefined;
/** What a late facilitator was given and has not taken to the chain yet. */
const owed = [];

/** What is sold, in atomic units of USDC (6 decimals); some of it under signed offers and receipts. */
const GOODS = {
  "GET /report": { units: "20000", description: "Weekly report", signed: true },
  "GET /big": { units: "750000", description: "The whole archive" },
  "POST /echo": { units: "30000", description: "Says back what it is sent" },
};

/** The official facilitator, or one that settles after its time-out. */
async function facilitator() {
  const official = await facilitatorOn(rpcUrl, chainId, relayer);
  const settleLate = (payload, terms) => {
    owed.push(() => official.settle(payload, terms));
    if (late === "refuse") throw new Error("The facilitator did not answer in time.");
    listener.closeAllConnections();
    return new Promise(() => {});
  };
  return late ? { ...official, settle: settleLate } : official;
}

function routes() {
  return Object.fromEntries(
    Object.entries(GOODS).map(([route, { units, description, signed }]) => [
      route,
      {
        accepts: {
          scheme: "exact",
          network,
          payTo,
          price: { asset, amount: units, extra: domain },
          maxTimeoutSeconds: 60,
        },
        description,
        mimeType: "application/json",
        ...(signed && { extensions: declareOfferReceiptExtension() }),
      },
    ]),
  );
}

async function shop() {
  const app = express();
  app.disable("x-powered-by");
  // Deliveries are counted so that a journey can tell paid-and-served from paid-only.
  const served = { "/report": 0, "/big": 0, "/echo": 0 };
  app.get("/served", (_request, response) => response.json(served));
  app.post("/settle-owed", async (_request, response) => {
    response.json(await Promise.all(owed.splice(0).map((settle) => settle())));
  });
  app.use(express.text({ type: "*/*", limit: "64kb" }));
  // Offers and receipts bear the relayer's signature: nobody has the key of PAY_TO.
  const issuer = createEIP712OfferReceiptIssuer(
    `did:pkh:eip155:${chainId}:${relayer.address}`,
    (data) => relayer.signTypedData(data),
  );
  const server = new x402ResourceServer(await facilitator())
    .register(network, new ExactServer())
    .registerExtension(createOfferReceiptExtension(issuer));
  app.use(paymentMiddleware(routes(), server));
  app.get("/report", (_request, response) => {
    served["/report"] += 1;
    response.json({ report: "Container rates, week by week", weeks: [1840, 1825, 1861, 1902] });
  });
  app.get("/big", (_request, response) => {
    served["/big"] += 1;
    response.json({ archive: Array.from({ length: 52 }, (_, week) => ({ week: week + 1 })) });
  });
  app.post("/echo", (request, response) => {
    served["/echo"] += 1;
    response.json({ echo: request.body ?? "" });
  });
  return app;
}

const app = await shop();
const listener = app.listen(0, "127.0.0.1", (error) => {
  if (error) throw error;
  const url = `http://127.0.0.1:${listener.address().port}`;
  console.log(JSON.stringify({ ready: true, url, pay_to: payTo, network, asset }));
});
closeWithStdin(() => listener.close());
