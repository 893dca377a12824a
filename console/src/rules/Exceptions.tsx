import { useMutation, useQueryClient, type UseQueryResult } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { Exception, Rule } from '../api/model';
import { deleteException } from '../api/rules';
import { Count, Empty, Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { findingsOf, huntLink } from '../shared/query';
import { Table } from '../shared/Table';
import { toastError } from '../shared/toasts';
import { Time } from '../shared/zone';
import { t } from '../strings/en';

export function Exceptions({ found, absent, rules }: { found: UseQueryResult<{ exceptions: Exception[] }>; absent: boolean; rules: Rule[] }) {
  const client = useQueryClient();
  const removing = useMutation({
    mutationFn: (id: Exception['id']) => deleteException(id),
    onSuccess: () => client.invalidateQueries({ queryKey: ['exceptions'] }),
    onError: toastError,
  });
  if (found.isPending) return <Waiting what={t.rules.loading} />;
  if (!found.data || absent) return <div className="page-body"><Problem error={found.error} what={t.exception.what} /></div>;
  if (found.data.exceptions.length === 0) {
    return (
      <Empty title={t.rules.noExceptions}>
        <p>{t.rules.noExceptionsLead}</p>
      </Empty>
    );
  }
  const title = (id: string) => rules.find((rule) => rule.id === id)?.title ?? id;
  return (
    <div className="page-body">
      <Table label={t.rules.exceptions} columns={[t.rules.rule, t.rules.where, t.exception.reason, t.rules.author, t.rules.expires, { name: t.rules.hidden, num: true }, { name: t.rules.remove, unseen: true }]}>
        {found.data.exceptions.map((it) => (
          <tr key={it.id}>
            <td>
              <Link href={`/rules/${encodeURIComponent(it.rule_id)}`}>{visible(title(it.rule_id))}</Link>
            </td>
            <td>
              {it.conditions.map((condition) => (
                <div key={condition.field} className="mono">
                  {visible(condition.field)}: {visible(condition.value)}
                </div>
              ))}
            </td>
            <td>{visible(it.reason)}</td>
            <td>
              {visible(it.author)} <span className="dim"><Time at={it.created} ago /></span>
            </td>
            <td>{it.expires ? <Time at={it.expires} ago /> : t.common.never}</td>
            <td className="num">
              <Count n={it.hidden} to={huntLink({ q: findingsOf(it.rule_id, it.conditions), from: it.created })} />
            </td>
            <td>
              <button type="button" className="quiet" onClick={() => removing.mutate(it.id)}>
                {t.rules.remove}
              </button>
            </td>
          </tr>
        ))}
      </Table>
    </div>
  );
}
