// Who is told of alerts: the account of every channel, what was held back, and what could not be delivered.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { call } from '../api/http';
import { Empty, Waiting } from '../shared/Bits';
import { formatCount, visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { Table } from '../shared/Table';
import { toast, toastError } from '../shared/toasts';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { accountOf, total, type Letter, type NotifyStatus } from './notices';

const counted = ['offered', 'sent', 'suppressed', 'queued', 'dead'] as const;

export function Notifications({ admin }: { admin: boolean }) {
  const client = useQueryClient();
  const status = useQuery({
    queryKey: ['notifications'],
    queryFn: () => call<NotifyStatus>('GET', '/notifications'),
    retry: false,
    refetchInterval: (query) => (query.state.status === 'error' ? false : 10_000),
  });
  const dead = useQuery({
    queryKey: ['notifications', 'dead'],
    queryFn: () => call<{ dead_letters: Letter[] }>('GET', '/notifications/dead-letters'),
    retry: false,
    enabled: status.isSuccess,
  });
  const refresh = () => client.invalidateQueries({ queryKey: ['notifications'] });
  const testing = useMutation({
    mutationFn: (name: string) => call<{ sent: boolean; answer: string; error: string | null }>('POST', `/notifications/channels/${encodeURIComponent(name)}/test`),
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
  if (status.data.channels.length === 0) {
    return (
      <Empty title={t.notify.none}>
        <p>{t.notify.noneLead}</p>
      </Empty>
    );
  }
  return (
    <div className="stack">
      <Table label={t.notify.channels} columns={[t.notify.channel, ...counted.map((name) => ({ name: t.notify[name], num: true })), { name: t.settings.actions, unseen: true }]}>
        {status.data.channels.map((channel) => ({ channel, counts: accountOf(status.data, channel.name) })).map(({ channel, counts }) => (
          <tr key={channel.name}>
            <td>
              {visible(channel.name)} <span className="dim">{visible(channel.kind)}</span>
              {channel.error && <div className="dim">{visible(channel.error)}</div>}
            </td>
            <td className="num">{formatCount(counts.offered)}</td>
            <td className="num">{formatCount(counts.sent)}</td>
            <td className="num" title={Object.entries(counts.suppressed).map(([reason, n]) => `${n} ${reason.replaceAll('_', ' ')}`).join(', ')}>{formatCount(total(counts.suppressed))}</td>
            <td className="num">{formatCount(counts.queued)}</td>
            <td className="num">{formatCount(counts.dead)}</td>
            <td>
              <button type="button" className="quiet" disabled={!admin || testing.isPending} onClick={() => testing.mutate(channel.name)}>
                {t.notify.test}
              </button>
            </td>
          </tr>
        ))}
      </Table>
      {dead.data && dead.data.dead_letters.length > 0 && (
        <section className="card" aria-label={t.notify.dead}>
          <h2>{t.notify.deadLong}</h2>
          {dead.data.dead_letters.map((letter) => (
            <div key={letter.id} className="row wrap">
              <strong>{visible(letter.channel)}</strong>
              <span className="grow">
                {visible(letter.title)} <span className="dim">{visible(letter.error)}</span>
              </span>
              <Time at={letter.given_up} ago />
              <button type="button" className="quiet" disabled={!admin} onClick={() => deciding.mutate({ id: letter.id, again: true })}>
                {t.problem.retry}
              </button>
              <button type="button" className="quiet" disabled={!admin} onClick={() => deciding.mutate({ id: letter.id, again: false })}>
                {t.notify.discard}
              </button>
            </div>
          ))}
        </section>
      )}
    </div>
  );
}
