// What stands around the door: the hostile pages' own server, a name that turns to the door once
// its page is loaded, and a door without a lock, which shows that the attempts are real.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { connect, createServer as createListener } from 'node:net';

const PAGE = '<!doctype html><meta charset="utf-8"><title>Free weather</title><body></body>';
/** RFC 6455, section 1.3. */
const WEBSOCKET_ID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Listens, and answers the port. */
function listen(server, host, port = 0) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve(server.address().port));
  });
}

/** A server that has nothing but a page. */
export async function pages(host) {
  const server = createServer((_, answer) => {
    answer.writeHead(200, { 'content-type': 'text/html', connection: 'close' });
    answer.end(PAGE);
  });
  const port = await listen(server, host);
  return { port, stop: () => server.close() };
}

/**
 * What a rebound name leads to: first a page, and once it has turned, the door itself, byte for
 * byte. Answers what the door said, status by status.
 */
export async function rebound(host, door) {
  const said = [];
  let turned = false;
  const open = new Set();
  const server = createListener((client) => {
    open.add(client);
    client.on('close', () => open.delete(client)).on('error', () => client.destroy());
    if (!turned) {
      const head = `HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: ${PAGE.length}\r\nconnection: close\r\n\r\n`;
      client.once('data', () => client.end(head + PAGE));
      return;
    }
    const desk = connect(door.port, door.host);
    desk.on('error', () => client.destroy()).on('data', (bytes) => {
      said.push(...[...bytes.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((found) => Number(found[1])));
    });
    client.pipe(desk).pipe(client);
  });
  await listen(server, host, door.port);
  return {
    said,
    turn: () => (turned = true),
    turnBack: () => {
      turned = false;
      for (const client of open) client.destroy();
    },
    stop: () => {
      for (const client of open) client.destroy();
      server.close();
    },
  };
}

/** A door that lets everybody in; it keeps what arrives. */
export async function openDoor(host) {
  const arrived = [];
  const server = createServer((request, answer) => {
    const headers = {
      'access-control-allow-origin': request.headers.origin ?? '*',
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': 'authorization, content-type',
    };
    if (request.url === '/') {
      answer.writeHead(200, { 'content-type': 'text/html' });
      return answer.end(PAGE);
    }
    if (request.method !== 'OPTIONS') arrived.push(`${request.method} ${request.url.split('?')[0]}`);
    request.resume().on('end', () => {
      const events = request.headers.accept === 'text/event-stream';
      const script = request.headers['sec-fetch-dest'] === 'script' && !request.url.includes('json');
      const type = events ? 'text/event-stream' : script ? 'text/javascript' : 'application/json';
      answer.writeHead(200, { ...headers, 'content-type': type });
      answer.end('[]');
    });
  });
  server.on('upgrade', (request, socket) => {
    arrived.push(`WS ${request.url}`);
    const key = createHash('sha1').update(request.headers['sec-websocket-key'] + WEBSOCKET_ID).digest('base64');
    const protocol = request.headers['sec-websocket-protocol'];
    const chosen = protocol === undefined ? '' : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
    socket.on('error', () => socket.destroy());
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${chosen}Sec-WebSocket-Accept: ${key}\r\n\r\n`);
  });
  const port = await listen(server, host);
  return { port, arrived, stop: () => (server.closeAllConnections(), server.close()) };
}
