// The other side of notifications: takes what is sent to `/good`, refuses the rest.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

let server: Server | undefined;

export async function openWebhook(): Promise<number> {
  const mine = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(request.url === '/good' ? 200 : 400, { 'content-type': 'text/plain' });
      response.end(request.url === '/good' ? 'thank you' : 'not for me');
    });
  });
  server = mine;
  await new Promise<void>((done) => mine.listen(0, '127.0.0.1', done));
  // The tests end when they end, whoever still listens.
  mine.unref();
  return (mine.address() as AddressInfo).port;
}

export function closeWebhook(): void {
  server?.closeAllConnections();
  server?.close();
}
