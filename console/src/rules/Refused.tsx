import type { UseQueryResult } from '@tanstack/react-query';
import type { RefusedRule } from '../api/model';
import { Empty, Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { Table } from '../shared/Table';
import { t } from '../strings/en';

/** Rules that are not matched, with file, line and reason: never skipped quietly. */
export function Refused({ found }: { found: UseQueryResult<{ refused: RefusedRule[] }> }) {
  if (found.isPending) return <Waiting what={t.rules.loading} />;
  if (!found.data) return <div className="page-body"><Problem error={found.error} /></div>;
  if (found.data.refused.length === 0) {
    return (
      <Empty title={t.rules.noneRefused}>
        <p>{t.rules.noneRefusedLead}</p>
      </Empty>
    );
  }
  return (
    <div className="page-body">
      <Table label={t.rules.refused} columns={[t.rules.rule, t.rules.file, { name: t.rules.line, num: true }, t.rules.reason]}>
        {found.data.refused.map((rule, i) => (
          <tr key={i}>
            <td>{visible(rule.title ?? rule.id ?? '–')}</td>
            <td className="mono">{visible(rule.file)}</td>
            <td className="num mono">{rule.line || '–'}</td>
            <td>{visible(rule.reason)}</td>
          </tr>
        ))}
      </Table>
    </div>
  );
}
