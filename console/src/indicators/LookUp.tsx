// What is known of a value. The value stands in the address.
import { Button } from '@mantine/core';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useKnown } from '../api/indicators';
import type { Model } from '../api/model';
import { useAddress } from '../shared/address';
import { Count, Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { useKeys } from '../shared/keys';
import { Problem } from '../shared/Problem';
import { huntLink, sightingsOf } from '../shared/query';
import { Table } from '../shared/Table';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import s from './indicators.module.css';

export function LookUp() {
  const { params, set } = useAddress();
  const value = params.get('value') ?? '';
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const box = useRef<HTMLInputElement>(null);
  useKeys({ '/': () => box.current?.focus() });
  const found = useKnown(value);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    set({ value: text.trim() }, false);
  };
  return (
    <section className="stack" aria-label={t.indicators.lookUp}>
      <form className="row" role="search" onSubmit={submit}>
        <input
          ref={box}
          className={s.value}
          type="search"
          maxLength={4096}
          placeholder={t.indicators.value}
          aria-label={t.indicators.value}
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        <Button type="submit" disabled={text.trim() === ''}>
          {t.indicators.lookUp}
        </Button>
      </form>
      {value !== '' && (
        <div role="status">
          {found.isPending && <Waiting what={t.indicators.asking} />}
          {found.isError && <Problem error={found.error} what={t.indicators.what} />}
          {found.data?.indicators.length === 0 && <p>{t.indicators.unknown(visible(value))}</p>}
        </div>
      )}
      {found.data && found.data.indicators.length > 0 && <Known of={value} indicators={found.data.indicators} />}
    </section>
  );
}

const names = t.indicators.columns;

function Known({ of, indicators }: { of: string; indicators: Model<'SeenIndicator'>[] }) {
  return (
    <Table label={t.indicators.answer(visible(of))} columns={[names.value, names.about, names.feed, { name: names.confidence, num: true }, names.holds, names.sightings]}>
      {indicators.map((it, i) => (
        <tr key={i}>
          <td>
            <span className={`mono ${s.anywhere}`}>{visible(it.value)}</span> <span className="dim">{visible(it.kind)}</span>
          </td>
          <td>
            {it.name && <div>{visible(it.name)}</div>}
            {it.labels.length > 0 && <div className="dim">{it.labels.map(visible).join(', ')}</div>}
            {/* Others' addresses are text: nothing here leads out of the console. */}
            {it.reference && <div className={`dim ${s.anywhere}`}>{visible(it.reference)}</div>}
          </td>
          <td>{visible(it.feed)}</td>
          <td className="num">{it.confidence}</td>
          <td>
            <Holds from={it.from} until={it.until} />
          </td>
          <td>
            {it.sightings === 0 ? (
              <span className="dim">{t.indicators.unseen}</span>
            ) : (
              <>
                <Count n={it.sightings} to={huntLink({ q: sightingsOf(it.value) })} label={t.indicators.sightings(it.sightings)} />
                {it.first_seen && it.last_seen && (
                  <div className="dim">
                    {t.indicators.first} <Time at={it.first_seen} ago />, {t.indicators.last} <Time at={it.last_seen} ago />
                  </div>
                )}
              </>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Holds({ from, until }: { from?: string | null | undefined; until?: string | null | undefined }) {
  if (!from && !until) return t.indicators.always;
  return (
    <>
      {from && (
        <div>
          {t.indicators.since} <Time at={from} />
        </div>
      )}
      {until && (
        <div>
          {t.indicators.until} <Time at={until} />
        </div>
      )}
    </>
  );
}
