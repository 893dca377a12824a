import { Link } from 'wouter';
import type { Model } from '../api/model';
import { visible } from '../shared/format';
import { clause, huntLink } from '../shared/query';
import { Table } from '../shared/Table';
import { Time, useNow } from '../shared/zone';
import { t } from '../strings/en';
import { How } from './How';
import { nextPoll } from './next';
import s from './indicators.module.css';

type Server = Model<'IndicatorServer'>;
const names = t.indicators.server;

/** The servers that indicators are fetched from. */
export function Servers({ servers }: { servers: Server[] }) {
  return (
    <div className="stack">
      <h2>{t.indicators.servers}</h2>
      <Table label={t.indicators.servers} columns={[names.name, t.indicators.state, names.last, names.next]}>
        {servers.map((server) => (
          <Row key={server.name} server={server} />
        ))}
      </Table>
    </div>
  );
}

function Row({ server }: { server: Server }) {
  const next = nextPoll(server, useNow());
  return (
    <tr>
      <td>
        <strong>{visible(server.name)}</strong>
        {/* Others' addresses are text: nothing here leads out of the console. */}
        <div className={`dim mono ${s.anywhere}`}>{visible(server.url)}</div>
      </td>
      <td>
        <How status={server.failure ? 'fail' : server.last ? 'ok' : 'warn'} word={server.failure ? t.indicators.failed : server.last ? t.indicators.fetched : t.indicators.waits} why={server.failure} />
      </td>
      <td>
        {server.last ? <Time at={server.last} ago /> : <span className="dim">{t.indicators.notYet}</span>}
        <div>
          <Link href={huntLink({ q: `event.action:indicators.fetch ${clause('vedette.target', server.name)}` })}>{t.indicators.polls}</Link>
        </div>
      </td>
      <td>
        {next === 'soon' ? t.indicators.soon : next === 'again' ? t.indicators.again : <Time at={next} ago />}
        <div className="dim">{t.indicators.every(server.every_minutes)}</div>
      </td>
    </tr>
  );
}
