// What a hostile page tries against a door: everything a browser has that makes a request.

/**
 * Runs inside the page. Answers, for each attempt, the text that the page got to read or that it
 * got something to run or to open; null for nothing.
 */
export async function attempts({ target, token, good, to }) {
  const PATIENCE_MS = 4000;
  const READS = ['/v1/budget', '/v1/payments', '/v1/openapi.json'];
  const buy = JSON.stringify({ url: good, idempotency_key: 'page', wait_ms: 0 });
  const send = JSON.stringify({ to, amount: '0.01', idempotency_key: 'page-transfer', wait_ms: 0 });
  const call = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'fetch', arguments: { url: good } } });
  const ACTS = [['/v1/fetch', buy], ['/v1/quote', buy], ['/v1/transfers', send], ['/mcp', call]];
  const TYPES = ['text/plain', 'application/json', 'application/x-www-form-urlencoded'];
  const secret = token === null ? {} : { authorization: `Bearer ${token}` };
  const got = {};
  const all = [];

  /** Notes what an attempt came to; a fault and a long silence are nothing. */
  function attempt(name, doing) {
    const silence = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, null));
    const done = Promise.race([Promise.resolve().then(doing).catch(() => null), silence]);
    all.push(done.then((read) => (got[name] = read ?? null)));
  }
  const told = async (answer) => (answer.type === 'opaque' ? null : `${answer.status} ${await answer.text()}`);
  const xhr = (method, path, headers, body) =>
    new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open(method, target + path);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.onload = () => resolve(`${request.status} ${request.responseText}`);
      request.onerror = () => resolve(null);
      request.send(body);
    });
  /** Puts an element into the page and waits whether it loads. */
  const element = (tag, fields) =>
    new Promise((resolve) => {
      const made = Object.assign(document.createElement(tag), fields);
      made.onload = () => resolve('loaded');
      made.onerror = () => resolve(null);
      document.body.append(made);
    });
  /** What stands in a frame, if this page may look; a frame of another origin says nothing. */
  const inside = (frame) => {
    try {
      const text = frame.contentDocument?.body?.innerText ?? '';
      return text === '' ? null : text;
    } catch {
      return null;
    }
  };
  const framed = (name, begin) =>
    new Promise((resolve) => {
      const frame = Object.assign(document.createElement('iframe'), { name });
      document.body.append(frame);
      frame.onload = () => resolve(inside(frame));
      begin(frame);
    });
  const form = (path, body, enctype) => {
    const name = `frame-${Math.random()}`;
    return framed(name, () => {
      const made = Object.assign(document.createElement('form'), { method: 'post', action: target + path, target: name, enctype });
      // As text, a field is written as its name, an equals sign and its value.
      const [before, after] = enctype === 'text/plain' ? [`${body.slice(0, -1)},"x":"`, '"}'] : ['body', body];
      made.append(Object.assign(document.createElement('input'), { name: before, value: after }));
      document.body.append(made);
      made.submit();
    });
  };

  for (const path of READS) {
    attempt(`fetch ${path}`, async () => told(await fetch(target + path)));
    attempt(`fetch ${path} with the header`, async () => told(await fetch(target + path, { headers: secret })));
    attempt(`fetch ${path} no-cors`, async () => told(await fetch(target + path, { mode: 'no-cors', credentials: 'include' })));
    attempt(`fetch ${path}?token`, async () => told(await fetch(`${target}${path}?token=${token}`)));
    attempt(`xhr ${path}`, () => xhr('GET', path, secret, null));
    attempt(`iframe ${path}`, () => framed('', (frame) => (frame.src = target + path)));
    attempt(`script ${path}`, () => element('script', { src: target + path }));
    attempt(`module ${path}`, async () => JSON.stringify((await import(target + path, { with: { type: 'json' } })).default));
    attempt(`image ${path}`, () => element('img', { src: target + path }));
    attempt(`style ${path}`, () => element('link', { rel: 'stylesheet', href: target + path }));
    attempt(`object ${path}`, () => element('object', { data: target + path }));
    attempt(`worker ${path}`, () => new Promise((resolve) => {
      const worker = new Worker(target + path);
      worker.onmessage = () => resolve('ran');
      worker.onerror = () => resolve(null);
    }));
  }
  for (const [path, body] of ACTS) {
    for (const type of TYPES) {
      const headers = { 'content-type': type };
      attempt(`fetch ${path} ${type}`, async () => told(await fetch(target + path, { method: 'POST', body, headers: { ...headers, ...secret } })));
      attempt(`fetch ${path} ${type} no-cors`, async () => told(await fetch(target + path, { method: 'POST', mode: 'no-cors', credentials: 'include', body, headers })));
      attempt(`xhr ${path} ${type}`, () => xhr('POST', path, { ...headers, ...secret }, body));
      attempt(`beacon ${path} ${type}`, () => void navigator.sendBeacon(target + path, new Blob([body], { type })));
    }
    for (const enctype of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      attempt(`form ${path} ${enctype}`, () => form(path, body, enctype));
    }
  }
  for (const path of ['/mcp', '/v1/payments']) {
    attempt(`events ${path}`, () => new Promise((resolve) => {
      const source = new EventSource(target + path, { withCredentials: true });
      source.onopen = () => resolve('open');
      source.onerror = () => (source.close(), resolve(null));
    }));
    attempt(`socket ${path}`, () => new Promise((resolve) => {
      const socket = new WebSocket(target.replace('http', 'ws') + path, token === null ? [] : [token]);
      socket.onopen = () => resolve('open');
      socket.onerror = () => resolve(null);
    }));
  }
  await Promise.all(all);
  return got;
}
