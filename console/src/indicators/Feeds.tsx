import type { Model } from '../api/model';
import { formatCount, visible } from '../shared/format';
import { Table } from '../shared/Table';
import { t } from '../strings/en';
import { How } from './How';
import s from './indicators.module.css';

const names = t.indicators.feed;

/** The files, with what of each holds and why the rest does not. */
export function Feeds({ feeds }: { feeds: Model<'IndicatorFeed'>[] }) {
  return (
    <div className="stack">
      <h2>{t.indicators.feeds}</h2>
      <Table
        label={t.indicators.feeds}
        columns={[names.name, t.indicators.state, { name: names.taken, num: true }, { name: names.withdrawn, num: true }, { name: names.refused, num: true }]}
      >
        {feeds.map((feed) => (
          <tr key={feed.file}>
            <td>
              <strong>{visible(feed.name)}</strong>
              <div className={`dim mono ${s.anywhere}`}>{visible(feed.file)}</div>
            </td>
            <td>
              <How status={feed.failure ? 'fail' : feed.refused > 0 ? 'warn' : 'ok'} word={feed.failure ? t.indicators.cutOff : feed.refused > 0 ? t.indicators.readSome : t.indicators.read} why={feed.failure} />
            </td>
            <td className="num">{formatCount(feed.taken)}</td>
            <td className="num">{formatCount(feed.withdrawn)}</td>
            <td className="num">{feed.refused === 0 ? <span className="dim">0</span> : <Refusals feed={feed} />}</td>
          </tr>
        ))}
      </Table>
    </div>
  );
}

function Refusals({ feed }: { feed: Model<'IndicatorFeed'> }) {
  const more = feed.refused - feed.refusals.length;
  return (
    <details className={s.refusals}>
      <summary aria-label={t.indicators.whyRefused(feed.refused, visible(feed.name))}>{formatCount(feed.refused)}</summary>
      <ul>
        {feed.refusals.map((refusal, i) => (
          <li key={i}>{visible(refusal)}</li>
        ))}
        {more > 0 && <li className="dim">{t.indicators.more(formatCount(more))}</li>}
      </ul>
    </details>
  );
}
