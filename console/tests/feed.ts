// The records that the tests look at.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostiles } from './hostile';
import { api, running, send, until } from './server';

export const at = (secondsAgo: number): string => new Date(Date.now() - secondsAgo * 1000).toISOString();

/** One syslog line of sshd. */
export const sshd = (text: string, host = 'web1', secondsAgo = 60, pid = 811): string => `<38>1 ${at(secondsAgo)} ${host} sshd ${pid} - - ${text}`;

/** Indicators of what no event names, unless a test sends one. */
export const KNOWN = '192.0.2.250';
const indicators = `value,type,first_seen_utc,threat,confidence,tags
${KNOWN},ip,2025-01-01 00:00:00,Guessing <b>botnet</b>,90,"brute-force,T1110"
192.0.2.248/29,cidr,2025-01-01 00:00:00,,40,
not a thing,domain,2025-01-01 00:00:00,,40,
`;

export async function feed(): Promise<void> {
  const folder = join(running().folder, 'data/indicators');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'blocklist.csv'), indicators);
  const failures = Array.from({ length: 40 }, (_, i) => sshd(`Failed password for root from 203.0.113.${i % 5} port ${40_000 + i} ssh2`, 'web1', 600 - i * 5));
  const unknown = Array.from({ length: 12 }, (_, i) => sshd(`Invalid user guest${i} from 198.51.100.9 port ${50_000 + i}`, 'web2', 500 - i));
  const success = [
    sshd('Accepted password for root from 203.0.113.1 port 40100 ssh2', 'web1', 200),
    sshd('Accepted publickey for ada from 192.0.2.10 port 40101 ssh2: ED25519 SHA256:abc', 'db1', 100),
  ];
  await send([...failures, ...unknown, ...success], 'ssh');
  const trail = (name: string, ago: number) =>
    JSON.stringify({
      eventVersion: '1.08',
      eventTime: at(ago),
      eventSource: 'cloudtrail.amazonaws.com',
      eventName: name,
      awsRegion: 'us-east-1',
      sourceIPAddress: '203.0.113.1',
      userAgent: 'aws-cli',
      userIdentity: { type: 'IAMUser', userName: 'ada', accountId: '123456789012', arn: 'arn:aws:iam::123456789012:user/ada' },
      requestParameters: { name: 'main' },
      eventID: `e-${ago}`,
      eventType: 'AwsApiCall',
      recipientAccountId: '123456789012',
    });
  await send([trail('DescribeTrails', 90), trail('StopLogging', 80), trail('DeleteTrail', 70)], 'aws', 'application/x-ndjson');
  await send(hostiles.map((text, i) => sshd(`Failed password for invalid user ${text} from 198.51.100.66 port 22 ssh2 pwned`, 'evil1', 50 - i)), 'hostile');
  await send(hostiles.map((text) => JSON.stringify({ message: `${text} pwned`, 'host.name': text, 'user.name': text, [`odd ${text}`]: text })), 'hostile-json', 'application/x-ndjson');
  await send(hostiles.map((text) => `no parser knows ${text}`), 'unparsed');
  await until('indicators', async () => (await api<{ indicators: number }>('GET', '/indicators')).indicators === 2);
  await until('alerts', async () => {
    const counts = await api<Record<string, Record<string, number>>>('GET', '/alerts/counts');
    return Object.values(counts['new'] ?? {}).reduce((a, b) => a + b, 0) >= 5;
  });
}
