// Signs EIP-3009 authorisations with viem, as an agent with a key of its own would.
//
// Reads a number a line from standard input, signs as many, and prints the nanoseconds it took.
import { createInterface } from "node:readline";
import { privateKeyToAccount } from "viem/accounts";

const account = privateKeyToAccount(`0x${"01".repeat(32)}`);
const domain = {
  name: "USD Coin",
  version: "2",
  chainId: 8453,
  verifyingContract: `0x${"a5".repeat(20)}`,
};
const types = {
  TransferWithAuthorization: [
    { name: "from", type: "address" },
    { name: "to", type: "address" },
    { name: "value", type: "uint256" },
    { name: "validAfter", type: "uint256" },
    { name: "validBefore", type: "uint256" },
    { name: "nonce", type: "bytes32" },
  ],
};

let number = 0n;
const sign = () => {
  number += 1n;
  const message = {
    from: account.address,
    to: `0x${"09".repeat(20)}`,
    value: 2500n,
    validAfter: 1n,
    validBefore: 2n,
    nonce: `0x${number.toString(16).padStart(64, "0")}`,
  };
  return account.signTypedData({ domain, types, primaryType: "TransferWithAuthorization", message });
};

for await (const line of createInterface({ input: process.stdin })) {
  const began = process.hrtime.bigint();
  for (let left = Number(line); left > 0; left -= 1) await sign();
  console.log(String(process.hrtime.bigint() - began));
}
