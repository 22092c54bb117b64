// An official seller by the `Payment` scheme: mppx's own express middleware with an EVM charge, whose
// authorisations are taken to the chain it is told about.
//
// Environment as for server.mjs; one line {"ready":true,...} once it listens; ends with its standard
// input.
import express from "express";
import { Mppx, evm } from "mppx/express";
import { createWalletClient, defineChain, http, nonceManager, parseAbi, parseSignature, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";

import { closeWithStdin, setting } from "./settings.mjs";

const chainId = Number(setting("CHAIN_ID", /^[1-9][0-9]{0,14}$/));
const rpcUrl = setting("RPC_URL", /^http:\/\/(127\.0\.0\.1|localhost):[0-9]+\/?$/);
const currency = setting("USDC", /^0x[0-9a-fA-F]{40}$/);
const recipient = setting("PAY_TO", /^0x[0-9a-fA-F]{40}$/);
const authorization = { name: setting("USDC_NAME", /./), version: setting("USDC_VERSION", /./) };
const account = privateKeyToAccount(setting("RELAYER_KEY", /^0x[0-9a-fA-F]{64}$/), { nonceManager });

const chain = defineChain({
  id: chainId,
  name: "journey",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [rpcUrl] } },
});
const wallet = createWalletClient({ account, chain, transport: http(rpcUrl), pollingInterval: 100 }).extend(
  publicActions,
);
const TOKEN = parseAbi([
  "function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)",
]);

/** Takes a checked authorisation to the chain. */
async function settle({ payload }) {
  const { r, s, yParity } = parseSignature(payload.signature);
  const hash = await wallet.writeContract({
    address: currency,
    abi: TOKEN,
    functionName: "transferWithAuthorization",
    args: [
      payload.from,
      payload.to,
      BigInt(payload.value),
      BigInt(payload.validAfter),
      BigInt(payload.validBefore),
      payload.nonce,
      27 + yParity,
      r,
      s,
    ],
  });
  const receipt = await wallet.waitForTransactionReceipt({ hash });
  if (receipt.status !== "success") throw new Error(`The transaction ${hash} was refused.`);
  return { reference: hash };
}

await wallet.request({ method: "anvil_setBalance", params: [account.address, "0x56bc75e2d63100000"] });
const mppx = Mppx.create({
  methods: [evm.charge({ authorization, chainId, currency, decimals: 6, recipient, settle })],
  realm: "journey shop",
  secretKey: "a secret of this seller that is long enough",
});
const served = { "/report": 0, "/big": 0 };
const app = express();
app.disable("x-powered-by");
// mppx offers x402 beside its challenge. This seller takes that back, so that the challenge is what
// is answered.
app.use((_request, response, next) => {
  const writeHead = response.writeHead;
  response.writeHead = function (...head) {
    response.removeHeader("payment-required");
    return writeHead.apply(this, head);
  };
  next();
});
app.get("/served", (_request, response) => response.json(served));
app.get("/report", mppx.charge({ amount: "0.02", description: "Weekly report" }), (_request, response) => {
  served["/report"] += 1;
  response.json({ report: "Container rates, week by week", weeks: [1840, 1825, 1861, 1902] });
});
app.get("/big", mppx.charge({ amount: "0.75", description: "The whole archive" }), (_request, response) => {
  served["/big"] += 1;
  response.json({ archive: Array.from({ length: 52 }, (_, week) => ({ week: week + 1 })) });
});
const listener = app.listen(0, "127.0.0.1", (error) => {
  if (error) throw error;
  const url = `http://127.0.0.1:${listener.address().port}`;
  console.log(JSON.stringify({ ready: true, url, pay_to: recipient, asset: currency }));
});
closeWithStdin(() => listener.close());
