// Buys once with the official client, and then tries the very same payment a second time.
//
// Environment: URL, METHOD (GET or POST), CHAIN_ID, USDC, BUYER_KEY. Prints one JSON line:
// {"status","body","settlement","replay_status"}.
import { x402Client } from "@x402/core/client";
import { decodePaymentResponseHeader, wrapFetchWithPayment } from "@x402/fetch";
import { ExactEvmScheme } from "@x402/evm";
import { privateKeyToAccount } from "viem/accounts";

import { setting } from "./settings.mjs";

const url = setting("URL", /^http:\/\/127\.0\.0\.1:[0-9]+\//);
const method = setting("METHOD", /^(GET|POST)$/);
const network = `eip155:${setting("CHAIN_ID", /^[1-9][0-9]{0,14}$/)}`;
const asset = setting("USDC", /^0x[0-9a-fA-F]{40}$/);
const account = privateKeyToAccount(setting("BUYER_KEY", /^0x[0-9a-fA-F]{64}$/));

// The official client pays only in assets it knows; this contract is of our own chain.
const client = new x402Client()
  .register(network, new ExactEvmScheme(account))
  .setSpendControls({ allowedAssets: [{ network, asset, maxAmountPerPayment: "1000000" }] });

// The payment header is kept as it passes, to present it a second time.
let sent;
const watched = async (input, init) => {
  const request = new Request(input, init);
  sent = request.headers.get("PAYMENT-SIGNATURE") ?? sent;
  return fetch(request);
};
const body = method === "POST" ? "hello, seller" : undefined;
const paid = await wrapFetchWithPayment(watched, client)(url, { method, body });
const header = paid.headers.get("PAYMENT-RESPONSE");
const replay = await fetch(url, { method, body, headers: { "PAYMENT-SIGNATURE": sent ?? "" } });
console.log(
  JSON.stringify({
    status: paid.status,
    body: await paid.text(),
    settlement: header ? decodePaymentResponseHeader(header) : null,
    replay_status: replay.status,
  }),
);
