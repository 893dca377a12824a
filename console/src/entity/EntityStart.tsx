// Which entity? By name, or one of those that most is recorded about.
import { Button, TextInput } from '@mantine/core';
import { useQueries, useQuery } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Link, useLocation } from 'wouter';
import { fieldValues } from '../api/fields';
import { Count, Empty, Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Icon, kindIcon } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { clause, entityKinds, entityLink, huntLink } from '../shared/query';
import { Snippets } from '../shared/Snippets';
import { t } from '../strings/en';
import s from './entity.module.css';

const starts: [string, string][] = [
  ['host', 'host.name'],
  ['user', 'user.name'],
  ['ip', 'source.ip'],
  ['process', 'process.name'],
];

const valuesOf = (field: string) => ({
  queryKey: ['values', field, '', {}, 15],
  queryFn: ({ signal }: { signal: AbortSignal }) => fieldValues(field, '', {}, { limit: 15, signal }),
  staleTime: 30_000,
});

export default function EntityStart() {
  const found = useQueries({ queries: starts.map(([, field]) => valuesOf(field)) });
  const virgin = found.every((it) => it.data?.values.length === 0);
  const [, navigate] = useLocation();
  const [kind, setKind] = useState('host');
  const [value, setValue] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (value.trim()) navigate(entityLink({ kind, value: value.trim() }));
  };
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t.nav.entity}</h1>
      </div>
      <div className={`page-body ${s.body}`}>
        <form className={s.open} onSubmit={submit}>
          <label>
            <span className="hidden">{t.entity.kind}</span>
            <select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
              {entityKinds.map((it) => (
                <option key={it} value={it}>
                  {t.kinds[it as keyof typeof t.kinds]}
                </option>
              ))}
            </select>
          </label>
          <TextInput aria-label={t.entity.name} placeholder={t.entity.name} value={value} onChange={(event) => setValue(event.currentTarget.value)} style={{ flex: 1 }} />
          <Button type="submit" size="sm">
            {t.entity.open}
          </Button>
        </form>
        {virgin ? (
          <>
            <Empty title={t.entity.virgin}>
              <p>{t.entity.virginLead}</p>
            </Empty>
            <Snippets />
          </>
        ) : (
          <div className={s.starts}>
            {starts.map(([it, field]) => (
              <Most key={field} kind={it} field={field} />
            ))}
          </div>
        )}
      </div>
    </div>
  );
}

function Most({ kind, field }: { kind: string; field: string }) {
  const values = useQuery(valuesOf(field));
  const most = values.data?.values[0]?.count ?? 1;
  return (
    <section className="card" aria-label={t.kinds[kind as keyof typeof t.kinds]}>
      <h2 className="row">
        <Icon name={kindIcon(kind)} /> {t.entity.most[kind as keyof typeof t.entity.most]}
      </h2>
      {values.isPending && <Waiting what={t.hunt.countingValues} />}
      {values.isError && <Problem error={values.error} />}
      {values.data?.values.length === 0 && <p className="dim">{t.entity.nothing}</p>}
      {values.data?.values.map(({ value, count }) => (
        <div key={value} className={s.value}>
          <span className={s.bar} style={{ width: `${(100 * count) / most}%` }} aria-hidden="true" />
          <Link className="clip" href={entityLink({ kind, value })}>
            {visible(value)}
          </Link>
          <Count n={count} short to={huntLink({ q: clause(field, value) })} label={t.common.showThese} />
        </div>
      ))}
    </section>
  );
}
