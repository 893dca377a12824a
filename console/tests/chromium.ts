import { existsSync } from 'node:fs';

/** The browser of the system: none is downloaded. */
export function chromiumPath(): string {
  const found = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((it) => it && existsSync(it));
  if (!found) throw new Error('no Chromium: install it (Debian: apt-get install chromium), or name one in CHROMIUM');
  return found;
}
