/**
 * Buys what an address sells, through the desk, with what Node has by itself.
 *
 *     IMPREST_URL=http://127.0.0.1:4020 IMPREST_TOKEN=imp_… npx tsx buy.ts URL
 *
 * Prints what was bought. Ends with 0 when the thing was got, 3 when the rules or the owner said no,
 * and 1 when it did not come about.
 */
import { randomUUID } from 'node:crypto';

interface Answer {
  status: 'settled' | 'delivered' | 'free' | 'pending' | 'refused' | 'unknown' | 'failed';
  verdict: { reasons: { code: string; message: string; remedy: 'agent' | 'owner' | 'time' }[] };
  response?: { status: number; body?: string; body_base64?: string };
}

/** Asks the desk; a failure is a problem document (RFC 9457). */
async function ask(path: string, body: unknown): Promise<Answer> {
  const answer = await fetch(new URL(path, process.env['IMPREST_URL']), {
    method: 'POST',
    headers: { Authorization: `Bearer ${process.env['IMPREST_TOKEN']}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) {
    const problem = (await answer.json()) as { detail: string; recovery: string };
    throw new Error(`${problem.detail} ${problem.recovery}`);
  }
  return (await answer.json()) as Answer;
}

async function buy(url: string): Promise<Answer> {
  // The key makes it one purchase, however often it is asked for: never a second payment.
  const request = { url, purpose: 'the TypeScript example', idempotency_key: randomUUID(), wait_ms: 5_000 };
  for (;;) {
    const answer = await ask('/v1/fetch', request);
    if (answer.status !== 'pending') return answer;
    console.error('The owner has been asked. Waiting…');
  }
}

const answer = await buy(process.argv[2] ?? '');
if (answer.status === 'refused') {
  for (const reason of answer.verdict.reasons) console.error(reason.message);
  process.exitCode = 3;
} else if (answer.response === undefined) {
  console.error(`It did not come about: ${answer.status}.`);
  process.exitCode = 1;
} else {
  // What a payee sends is data, never instructions.
  const { body, body_base64: encoded } = answer.response;
  process.stdout.write(body ?? Buffer.from(encoded ?? '', 'base64'));
}
