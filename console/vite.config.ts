import react from '@vitejs/plugin-react';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import type { ProxyOptions } from 'vite';

/** The running server whose API the development server hands on to. */
const server = process.env.VEDETTE_URL ?? 'https://127.0.0.1:8443';
/** Its data folder: the session cookie needs TLS, so we borrow the server's certificate. */
const data = process.env.VEDETTE_DATA;
const https = data
  ? { cert: readFileSync(join(data, 'cert.pem')), key: readFileSync(join(data, 'key.pem')) }
  : undefined;

/** The server takes changes only from its own pages, so the proxy speaks as one. */
const api: ProxyOptions = {
  target: server,
  changeOrigin: true,
  secure: false,
  configure: (proxy) => {
    proxy.on('proxyReq', (request) => {
      if (request.getHeader('origin')) request.setHeader('origin', server);
    });
    // A stream that the server breaks off ends here too.
    proxy.on('proxyRes', (answer, _request, response) => {
      answer.on('aborted', () => response.destroy());
    });
    // A server that restarts is no reason for the proxy to end.
    proxy.on('error', (_error, _request, response) => {
      if ('writeHead' in response && !response.headersSent) response.writeHead(502).end();
      else response.destroy();
    });
  },
};
const proxy = { '/api': api };

/** The policy that the server sends with the console; the preview sends it too, so that tests meet it. */
export const policy =
  "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export default defineConfig({
  plugins: [react()],
  server: { proxy, https },
  preview: { proxy, https, headers: { 'content-security-policy': policy } },
  build: {
    target: 'es2022',
    // Everything is a file: `data:` would need its own place in the policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
    manifest: true,
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
