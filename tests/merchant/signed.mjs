// Offers and receipts under the signatures of the official package, for the tests of who reads them:
//
//   node tests/merchant/signed.mjs > crates/rails/src/x402/signed/vectors.json
//
// Nothing in them is left to chance: the clock stands still, and both keys are development keys.
import {
  createEIP712OfferReceiptIssuer,
  createJWSOfferReceiptIssuer,
} from "@x402/extensions/offer-receipt";
import { sha256 } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const NOW_S = 1_795_000_000;
Date.now = () => NOW_S * 1000;

const KEYS = { paid: `0x${"41".repeat(32)}`, other: `0x${"42".repeat(32)}` };
const PAYER = `0x${"aa".repeat(20)}`;
const TRANSACTION = `0x${"ab".repeat(32)}`;
const URL = "https://shop.example/a";
const paid = privateKeyToAccount(KEYS.paid);
const other = privateKeyToAccount(KEYS.other);

const terms = {
  scheme: "exact",
  network: "eip155:84532",
  asset: "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
  payTo: paid.address,
  amount: "10000",
};
const typed = (account) =>
  createEIP712OfferReceiptIssuer(`did:pkh:eip155:1:${account.address}`, (data) =>
    account.signTypedData(data),
  );
const kid = "did:web:shop.example#key-1";
const jws = createJWSOfferReceiptIssuer(kid, {
  kid,
  format: "jws",
  algorithm: "ES256K",
  // r and s, without the v that a JWS has no place for.
  sign: async (bytes) =>
    Buffer.from((await paid.sign({ hash: sha256(bytes) })).slice(2, 130), "hex").toString("base64url"),
});

const offer = (issuer, change = {}, url = URL) =>
  issuer.issueOffer(url, { acceptIndex: 0, offerValiditySeconds: 300, ...terms, ...change });
const receipt = (issuer, change = {}) => {
  const its = { url: URL, payer: PAYER, network: terms.network, transaction: TRANSACTION, ...change };
  return issuer.issueReceipt(its.url, its.payer, its.network, its.transaction);
};

const vectors = {
  now_s: NOW_S,
  payer: PAYER,
  transaction: TRANSACTION,
  paid: paid.address,
  other: other.address,
  offers: {
    good: await offer(typed(paid)),
    by_another: await offer(typed(other)),
    endless: await offer(typed(paid), { offerValiditySeconds: -NOW_S }),
    ended: await offer(typed(paid), { offerValiditySeconds: -1 }),
    elsewhere: await offer(typed(paid), {}, "https://evil.example/a"),
    dearer: await offer(typed(paid), { amount: "10001" }),
    to_another: await offer(typed(paid), { payTo: other.address }),
    of_another_asset: await offer(typed(paid), { asset: other.address }),
    on_another_network: await offer(typed(paid), { network: "eip155:8453" }),
    by_another_scheme: await offer(typed(paid), { scheme: "upto" }),
    jws: await offer(jws),
    jws_dearer: await offer(jws, { amount: "10001" }),
  },
  receipts: {
    good: await receipt(typed(paid)),
    without_transaction: await receipt(typed(paid), { transaction: undefined }),
    by_another: await receipt(typed(other)),
    of_another_payer: await receipt(typed(paid), { payer: other.address }),
    elsewhere: await receipt(typed(paid), { url: "https://evil.example/a" }),
    on_another_network: await receipt(typed(paid), { network: "eip155:8453" }),
    of_another_transaction: await receipt(typed(paid), { transaction: `0x${"cd".repeat(32)}` }),
    jws: await receipt(jws),
  },
};
console.log(JSON.stringify(vectors, null, 1));
