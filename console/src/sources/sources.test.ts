import { expect, test } from 'vitest';
import { account, addUp } from './ledger';
import { grok, parserFor, sharedWord } from './parserFor';
import { addresses, snippets } from '../shared/snippets';

test('the account adds up, or says that it does not', () => {
  const good = { received: 10, stored: 7, refused: { busy: 1 }, shed: { kernel_drop: 2 } };
  const bad = { received: 10, stored: 7, refused: {}, shed: {} };
  expect(account(good).even).toBe(true);
  expect(account(bad).even).toBe(false);
  expect(addUp([good, bad])).toEqual({ received: 20, stored: 14, refused: 1, shed: 2, even: false });
  expect(addUp([]).even).toBe(true);
});

test('a parser begins with what the lines share', () => {
  expect(sharedWord(['order T-1 shipped', 'order T-2 cancelled'])).toBe('order');
  expect(grok('from 192.0.2.7 port 4711 (ok)')).toBe('from %{IPV4:source.ip} port %{INT:mine.n1} \\(ok\\)');
  expect(parserFor(["it's 42"])).toContain("- raw: 'it''s 42'");
});

test('snippets say what a receiver asks for', () => {
  const open = addresses(
    [
      { kind: 'syslog-tls', address: '0.0.0.0:6514', tls: true },
      { kind: 'http', address: '0.0.0.0:9201', tls: true },
      { kind: 'http', address: '0.0.0.0:4318', tls: true },
      { kind: 'otlp-grpc', address: '0.0.0.0:4317', tls: true },
    ],
    'siem.example.org',
  );
  const { rsyslog, filebeat, otel, curl } = snippets(open);
  // What the collector's HTTP exporter would find at the port for gRPC is no answer.
  expect(otel.text).toContain('endpoint: https://siem.example.org:4318\n    headers: {authorization: Bearer TOKEN}\n');
  expect(filebeat.text).toContain('hosts: ["https://siem.example.org:9201"]\n  api_key: "vedette:TOKEN"\n');
  expect(curl.text).toContain("-H 'authorization: Bearer TOKEN'");
  expect(rsyslog.text).toContain('StreamDriverPermittedPeers="siem.example.org"');
  expect(rsyslog.text).toContain('port="6514"');
});

test('snippets carry this server’s address', () => {
  const at = addresses([{ kind: 'syslog-tcp', address: '0.0.0.0:1514', tls: false }, { kind: 'http', address: '127.0.0.1:19200', tls: false }], 'siem.example.org');
  expect(snippets(at).rsyslog.text).toContain('target="siem.example.org" port="1514"');
  expect(snippets(at).filebeat.text).toContain('http://siem.example.org:19200');
  expect(Object.values(snippets(at)).map((it) => it.text).join()).not.toMatch(/TOKEN|StreamDriver/);
  expect(at.loopback).toBe(false);
  expect(addresses([], '127.0.0.1').loopback).toBe(true);
});
