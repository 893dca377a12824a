import { stop } from './server';
import { closeWebhook } from './webhook';

export default async function teardown(): Promise<void> {
  await stop();
  closeWebhook();
}
