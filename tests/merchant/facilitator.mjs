// The official facilitator in this process: it checks signatures and takes them to the chain.
//
// A test chain only: the relayer's gas is given by anvil_setBalance, which no real chain offers.
import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { ExactEvmScheme as ExactFacilitator } from "@x402/evm/exact/facilitator";
import { createWalletClient, defineChain, http, nonceManager, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";

/** The account that pays gas; its nonce manager keeps parallel settlements from clashing. */
export const relayerOf = (key) => privateKeyToAccount(key, { nonceManager });

/** A facilitator for one chain, whose settlements the relayer takes there. */
export async function facilitatorOn(rpcUrl, chainId, relayer) {
  const chain = defineChain({
    id: chainId,
    name: "journey",
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  });
  const wallet = createWalletClient({
    account: relayer,
    chain,
    transport: http(rpcUrl),
    pollingInterval: 100,
  }).extend(publicActions);
  const found = await wallet.getChainId();
  if (found !== chainId) throw new Error(`The chain says it is ${found}, not ${chainId}.`);
  await wallet.request({
    method: "anvil_setBalance",
    params: [relayer.address, "0x56bc75e2d63100000"],
  });
  const signer = toFacilitatorEvmSigner(Object.assign(wallet, { address: relayer.address }), {
    confirmationTimeoutMs: 20_000,
  });
  const official = new x402Facilitator().register(
    `eip155:${chainId}`,
    new ExactFacilitator(signer),
  );
  // x402ResourceServer wants a client whose answers are promises; the class answers at once.
  return {
    verify: (payload, terms) => official.verify(payload, terms),
    settle: (payload, terms) => official.settle(payload, terms),
    getSupported: async () => official.getSupported(),
  };
}
