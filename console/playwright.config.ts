// The console in a real browser against a real server. `VEDETTE_BIN` names the server's binary; `CHROMIUM` the browser.
import { defineConfig } from '@playwright/test';
import { chromiumPath } from './tests/chromium';

export default defineConfig({
  testDir: './tests',
  testMatch: '*.spec.ts',
  globalSetup: './tests/setup.ts',
  globalTeardown: './tests/teardown.ts',
  // One server with one store: tests build on what is there, and one restarts it.
  workers: 1,
  fullyParallel: false,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  retries: 0,
  reporter: [['list']],
  outputDir: './node_modules/.cache/playwright',
  use: {
    ignoreHTTPSErrors: true,
    colorScheme: 'dark',
    viewport: { width: 1280, height: 800 },
    trace: 'off',
    launchOptions: { executablePath: chromiumPath(), args: ['--no-sandbox'] },
  },
});
