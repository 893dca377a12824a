// Configurations for the usual shippers.

export type Shipper = 'rsyslog' | 'filebeat' | 'otel' | 'curl';

export interface Addresses {
  host: string;
  syslog: string;
  http: string;
  otlp: string;
  /** Whether those over HTTP, and syslog, want TLS; and so a token, or a certificate of the sender's. */
  tls: boolean;
  syslogTls: boolean;
  /** True if only this machine can send. */
  loopback: boolean;
}

interface Receiver {
  kind: string;
  address: string;
  tls: boolean;
}

const portOf = (address: string, otherwise: string): string => /:(\d+)$/.exec(address)?.[1] ?? otherwise;
const local = (address: string): boolean => /^(127\.|\[?::1\]?:|localhost:)/.test(address);

/** Where to send to: the server's own words where it has said them, else the default ports. */
export function addresses(receivers: Receiver[], host: string): Addresses {
  const find = (pattern: RegExp) => receivers.find((receiver) => pattern.test(receiver.kind));
  const tcp = find(/^syslog-tcp/) ?? find(/^syslog-tls/) ?? find(/^syslog/);
  // Every HTTP listener speaks all the protocols over HTTP; the ports are those that their clients expect.
  const overHttp = (port: number) => receivers.find((it) => it.kind === 'http' && it.address.endsWith(`:${port}`)) ?? find(/^http$/);
  const [http, otlp] = [overHttp(9200), overHttp(4318)];
  return {
    host,
    syslog: portOf(tcp?.address ?? '', '5514'),
    http: portOf(http?.address ?? '', '9200'),
    otlp: portOf(otlp?.address ?? '', '4318'),
    tls: http?.tls ?? false,
    syslogTls: tcp?.tls ?? false,
    loopback: receivers.length === 0 ? local(`${host}:`) : receivers.every((receiver) => local(receiver.address)),
  };
}

export function snippets(at: Addresses): Record<Shipper, { file: string; text: string }> {
  const scheme = at.tls ? 'https' : 'http';
  const only = (needed: boolean, lines: string) => (needed ? lines : '');
  return {
    rsyslog: {
      file: '/etc/rsyslog.d/60-vedette.conf',
      text: `${only(
        at.syslogTls,
        `global(DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="/etc/rsyslog.d/ca.pem"
       DefaultNetstreamDriverCertFile="/etc/rsyslog.d/host.pem" DefaultNetstreamDriverKeyFile="/etc/rsyslog.d/host.key")
`,
      )}*.* action(type="omfwd" target="${at.host}" port="${at.syslog}" protocol="tcp"
       template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted"${only(
        at.syslogTls,
        `
       StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="${at.host}"`,
      )}
       queue.type="LinkedList" queue.filename="vedette" queue.saveOnShutdown="on"
       action.resumeRetryCount="-1")
`,
    },
    filebeat: {
      file: '/etc/filebeat/filebeat.yml',
      text: `filebeat.inputs:
  - type: filestream
    id: logs
    paths: [/var/log/*.log]
setup.ilm.enabled: false
setup.template.enabled: false
output.elasticsearch:
  hosts: ["${scheme}://${at.host}:${at.http}"]
${only(at.tls, '  api_key: "vedette:TOKEN"\n')}`,
    },
    otel: {
      file: 'otel-collector.yaml',
      text: `receivers:
  filelog:
    include: [/var/log/*.log]
exporters:
  otlphttp:
    endpoint: ${scheme}://${at.host}:${at.otlp}
${only(at.tls, '    headers: {authorization: Bearer TOKEN}\n')}service:
  pipelines:
    logs: {receivers: [filelog], exporters: [otlphttp]}
`,
    },
    curl: {
      file: '$',
      text: `echo 'Nov 21 04:11:52 web1 sshd[7]: Failed password for root from 192.0.2.7 port 4711 ssh2' |
  curl -sH 'content-type: text/plain'${only(at.tls, " -H 'authorization: Bearer TOKEN'")} --data-binary @- '${scheme}://${at.host}:${at.http}/ingest?source=test'
`,
    },
  };
}
