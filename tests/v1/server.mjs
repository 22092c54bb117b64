// An official seller of x402 version 1: the official express middleware and the official facilitator
// in one process, settling on the chain it is told about. The chain has to bear the id of a network
// that version 1 has a name for; this seller calls it base-sepolia.
//
// Environment as for merchant/server.mjs; one line {"ready":true,...} once it listens; ends with its
// standard input.
import express from "express";
import { createWalletClient, http, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { baseSepolia } from "viem/chains";
import { paymentMiddleware } from "x402-express";
import { settle, verify } from "x402/facilitator";

import { closeWithStdin, setting } from "../merchant/settings.mjs";

const rpcUrl = setting("RPC_URL", /^http:\/\/(127\.0\.0\.1|localhost):[0-9]+\/?$/);
const usdc = setting("USDC", /^0x[0-9a-fA-F]{40}$/);
const payTo = setting("PAY_TO", /^0x[0-9a-fA-F]{40}$/);
const eip712 = { name: setting("USDC_NAME", /./), version: setting("USDC_VERSION", /./) };
setting("CHAIN_ID", new RegExp(`^${baseSepolia.id}$`));
const account = privateKeyToAccount(setting("RELAYER_KEY", /^0x[0-9a-fA-F]{64}$/));

const wallet = createWalletClient({
  account,
  chain: baseSepolia,
  transport: http(rpcUrl),
  pollingInterval: 100,
}).extend(publicActions);
await wallet.request({ method: "anvil_setBalance", params: [account.address, "0x56bc75e2d63100000"] });

const listening = (app) =>
  new Promise((resolve, reject) => {
    const listener = app.listen(0, "127.0.0.1", () => resolve(listener));
    listener.once("error", reject);
  });
const origin = (listener) => `http://127.0.0.1:${listener.address().port}`;

/** The official facilitator behind its HTTP interface. */
function facilitator() {
  const app = express();
  app.use(express.json({ limit: "64kb" }));
  for (const [path, act] of [["/verify", verify], ["/settle", settle]]) {
    app.post(path, async (request, response) => {
      const { paymentPayload, paymentRequirements } = request.body;
      try {
        response.json(await act(wallet, paymentPayload, paymentRequirements));
      } catch (error) {
        response.status(500).json({ error: String(error) });
      }
    });
  }
  return app;
}

const price = (amount) => ({ amount, asset: { address: usdc, decimals: 6, eip712 } });
const book = await listening(facilitator());
const served = { "/report": 0, "/big": 0 };
const app = express();
app.disable("x-powered-by");
app.get("/served", (_request, response) => response.json(served));
app.use(
  paymentMiddleware(
    payTo,
    {
      "GET /report": { price: price("20000"), network: "base-sepolia", config: { description: "Weekly report" } },
      "GET /big": { price: price("750000"), network: "base-sepolia", config: { description: "The whole archive" } },
    },
    { url: origin(book) },
  ),
);
app.get("/report", (_request, response) => {
  served["/report"] += 1;
  response.json({ report: "Container rates, week by week", weeks: [1840, 1825, 1861, 1902] });
});
app.get("/big", (_request, response) => {
  served["/big"] += 1;
  response.json({ archive: Array.from({ length: 52 }, (_, week) => ({ week: week + 1 })) });
});
const shop = await listening(app);
console.log(JSON.stringify({ ready: true, url: origin(shop), pay_to: payTo, asset: usdc }));
closeWithStdin(() => {
  shop.close();
  book.close();
});
