// Who is told of alerts and incidents: the account of every channel, what was held back, and what could not be delivered.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import { call } from '../api/http';
import type { Model } from '../api/model';
import { Count, Empty, Waiting } from '../shared/Bits';
import { formatCount, visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { Table } from '../shared/Table';
import { toast, toastError } from '../shared/toasts';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { Section } from './Section';
import { accountOf, total } from './notices';

/** What to write to be told. */
const EXAMPLE = `console: ${window.location.origin}
channels:
  - name: on-call
    ntfy: {url: "https://ntfy.sh", topic: choose-a-name-that-nobody-guesses}
routes:
  - {name: at-once, match: {level: high}, channels: [on-call]}
`;

const counted = ['offered', 'sent', 'suppressed', 'queued', 'dead'] as const;

export function Notifications({ admin }: { admin: boolean }) {
  const client = useQueryClient();
  const status = useQuery({
    queryKey: ['notifications'],
    queryFn: () => call<Model<'Notifications'>>('GET', '/notifications'),
    retry: false,
    refetchInterval: (query) => (query.state.status === 'error' ? false : 10_000),
  });
  const dead = useQuery({
    queryKey: ['notifications', 'dead'],
    queryFn: () => call<Model<'DeadLetters'>>('GET', '/notifications/dead-letters'),
    retry: false,
    enabled: status.isSuccess,
    refetchInterval: 10_000,
  });
  const suppressed = useQuery({
    queryKey: ['notifications', 'suppressed'],
    queryFn: () => call<Model<'SuppressedNotices'>>('GET', '/notifications/suppressed?limit=200'),
    retry: false,
    enabled: status.isSuccess,
    refetchInterval: 10_000,
  });
  const refresh = () => client.invalidateQueries({ queryKey: ['notifications'] });
  const testing = useMutation({
    mutationFn: (name: string) => call<Model<'ChannelTest'>>('POST', `/notifications/channels/${encodeURIComponent(name)}/test`),
    onSuccess: (answer, name) => toast(answer.sent ? t.notify.tested(name) : t.notify.failed(name, answer.error ?? answer.answer), { bad: !answer.sent }),
    onError: toastError,
  });
  const deciding = useMutation({
    mutationFn: ({ id, again }: { id: number; again: boolean }) =>
      again ? call('POST', `/notifications/dead-letters/${id}/retry`) : call('DELETE', `/notifications/dead-letters/${id}`),
    onSuccess: refresh,
    onError: toastError,
  });
  if (status.isPending) return <Waiting what={t.notify.loading} />;
  if (!status.data) return <Problem error={status.error} what={t.notify.what} />;
  const nowhere = accountOf(status.data, '');
  const none = status.data.channels.length === 0;
  return (
    <div className="stack">
      {none && (
        <Empty title={t.notify.none}>
          <p>{admin ? t.notify.noneLead : t.notify.noneLeadOthers}</p>
        </Empty>
      )}
      {!none && (
        <Table label={t.notify.channels} columns={[t.notify.channel, ...counted.map((name) => ({ name: t.notify[name], num: true })), { name: t.settings.actions, unseen: true }]}>
          {status.data.channels.map((channel) => ({ channel, counts: accountOf(status.data, channel.name) })).map(({ channel, counts }) => (
            <tr key={channel.name}>
              <td>
                {visible(channel.name)} <span className="dim">{visible(channel.kind)}</span>
                {channel.error && <div className="dim">{visible(channel.error)}</div>}
              </td>
              <td className="num">{formatCount(counts.offered)}</td>
              <td className="num">{formatCount(counts.sent)}</td>
              <td className="num" title={reasons(counts.suppressed)}>
                <Count n={total(counts.suppressed)} to="#suppressed" />
              </td>
              <td className="num" title={reasons(counts.held)}>{formatCount(counts.queued)}</td>
              <td className="num">
                <Count n={counts.dead} to="#dead" />
              </td>
              <td>
                <button type="button" className="quiet" disabled={!admin || testing.isPending} onClick={() => testing.mutate(channel.name)}>
                  {t.notify.test}
                </button>
              </td>
            </tr>
          ))}
          {nowhere.offered > 0 && (
            <tr>
              <td className="dim">{t.notify.nowhere}</td>
              <td className="num">{formatCount(nowhere.offered)}</td>
              <td className="num">0</td>
              <td className="num" title={reasons(nowhere.suppressed)}>
                <Count n={total(nowhere.suppressed)} to="#suppressed" />
              </td>
              <td className="num">0</td>
              <td className="num">0</td>
              <td />
            </tr>
          )}
        </Table>
      )}
      {dead.data && dead.data.dead_letters.length > 0 && (
        <section className="stack" id="dead">
          <h2>{t.notify.deadLong}</h2>
          <Table label={t.notify.deadLong} columns={[t.notify.time, t.notify.about, t.notify.channel, t.rules.reason, { name: t.settings.actions, unseen: true }]}>
            {dead.data.dead_letters.map((letter) => (
              <tr key={letter.id}>
                <td>
                  <Time at={letter.given_up} />
                </td>
                <td>
                  <Link href={pageOf(letter)}>{visible(letter.title)}</Link>
                </td>
                <td>{visible(letter.channel)}</td>
                <td>{visible(letter.error)}</td>
                <td>
                  <span className="row">
                    <button type="button" className="quiet" disabled={!admin} onClick={() => deciding.mutate({ id: letter.id, again: true })}>
                      {t.problem.retry}
                    </button>
                    <button type="button" className="quiet" disabled={!admin} onClick={() => deciding.mutate({ id: letter.id, again: false })}>
                      {t.notify.discard}
                    </button>
                  </span>
                </td>
              </tr>
            ))}
          </Table>
        </section>
      )}
      {admin && <Section name="notifications" example={none ? EXAMPLE : ''} />}
      {suppressed.data && suppressed.data.suppressed.length > 0 && (
        <section className="stack" id="suppressed">
          <h2>{t.notify.suppressedLong}</h2>
          <Table label={t.notify.suppressedLong} columns={[t.notify.time, t.notify.about, t.notify.happened, t.notify.channel, t.notify.route, t.rules.reason]}>
            {suppressed.data.suppressed.map((notice, i) => (
              <tr key={i}>
                <td>
                  <Time at={notice.time} />
                </td>
                <td>
                  <Link href={pageOf(notice)}>{visible(notice.title)}</Link>
                </td>
                <td>{visible(notice.what)}</td>
                <td>{visible(notice.channel) || '–'}</td>
                <td>{visible(notice.route) || '–'}</td>
                <td>{visible(notice.reason.replaceAll('_', ' '))}</td>
              </tr>
            ))}
          </Table>
        </section>
      )}
    </div>
  );
}

const reasons = (counts: Record<string, number>): string => Object.entries(counts).map(([reason, n]) => `${n} ${reason.replaceAll('_', ' ')}`).join(', ');

const pageOf = (about: { alert: number; incident: number }): string => (about.incident ? `/incidents/${about.incident}` : `/inbox?state=all&alert=${about.alert}`);
