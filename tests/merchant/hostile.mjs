// The official client among cheats: fetches every address it is given on standard input, one a
// line, with a spending limit, and prints how many fetches ended how.
//
// Environment: CHAIN_ID, USDC, BUYER_KEY, UNITS_MAX (the most for one payment, in atomic units).
import { createInterface } from "node:readline";
import { x402Client } from "@x402/core/client";
import { wrapFetchWithPayment } from "@x402/fetch";
import { ExactEvmScheme } from "@x402/evm";
import { privateKeyToAccount } from "viem/accounts";

import { setting } from "./settings.mjs";

const AT_ONCE = 16;
const PATIENCE_MS = 5_000;
const network = `eip155:${setting("CHAIN_ID", /^[1-9][0-9]{0,14}$/)}`;
const asset = setting("USDC", /^0x[0-9a-fA-F]{40}$/);
const maxAmountPerPayment = setting("UNITS_MAX", /^[1-9][0-9]{0,20}$/);
const account = privateKeyToAccount(setting("BUYER_KEY", /^0x[0-9a-fA-F]{64}$/));

const client = new x402Client()
  .register(network, new ExactEvmScheme(account))
  .setSpendControls({ allowedAssets: [{ network, asset, maxAmountPerPayment }] });
const pay = wrapFetchWithPayment(fetch, client);

const addresses = [];
for await (const line of createInterface({ input: process.stdin })) addresses.push(line);
const ends = { answered: 0, failed: 0 };
async function buyer() {
  for (let url = addresses.shift(); url !== undefined; url = addresses.shift()) {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    try {
      const answer = await pay(url, { signal });
      await answer.body?.cancel();
      ends.answered += 1;
    } catch {
      ends.failed += 1;
    }
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, buyer));
console.log(JSON.stringify(ends));
process.exit(0);
