import { stop } from './server';

export default async function teardown(): Promise<void> {
  await stop();
}
