import { rmSync } from 'node:fs';
import { STATE, stop } from './server';

export default async function teardown(): Promise<void> {
  await stop();
  rmSync(STATE, { force: true });
}
