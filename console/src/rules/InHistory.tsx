// What rules would have found: a retro-hunt while it goes on, and what it came to.
import { Button } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { Model, Retrohunt, Session } from '../api/model';
import { cancelRetrohunt, goesOn, useNewestOf, useRetrohunt } from '../api/retrohunts';
import { may } from '../api/session';
import { EntityChip, Waiting } from '../shared/Bits';
import { formatCount, visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { clause, huntLink } from '../shared/query';
import { toastError } from '../shared/toasts';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import s from './history.module.css';

/** The newest retro-hunt that has this rule, or that was begun here. */
export function InHistory({ rule, begun }: { rule: string | undefined; begun: number | undefined }) {
  const newest = useNewestOf(rule);
  const known = newest.data?.id;
  const id = known !== undefined && begun !== undefined ? Math.max(known, begun) : (known ?? begun);
  const only = id === begun ? undefined : rule;
  const found = useRetrohunt(id, only);
  if (rule === undefined && begun === undefined) return null;
  const wrong = found.error ?? newest.error;
  return (
    <section className="card" aria-label={t.history.title}>
      <h2>{t.history.title}</h2>
      {found.data ? (
        <Hunt hunt={found.data} />
      ) : wrong ? (
        <Problem error={wrong} what={t.history.what} />
      ) : newest.isPending || id !== undefined ? (
        <Waiting what={t.history.loading} />
      ) : (
        <p className="dim">{t.history.none}</p>
      )}
    </section>
  );
}

function Hunt({ hunt }: { hunt: Retrohunt }) {
  return (
    <div className="stack">
      <div>
        <div className="row wrap">
          <strong role="status">{t.history.states[hunt.state]}</strong>
          {goesOn(hunt) && <Progress hunt={hunt} />}
        </div>
        <p className="dim">
          {hunt.automatic ? t.history.itself : t.history.by(visible(hunt.by))}, <Time at={hunt.begun} ago />, {t.history.since} <Time at={hunt.from} />
        </p>
        {hunt.state !== 'waiting' && <p className="dim">{t.history.read(formatCount(hunt.events_read), formatCount(hunt.elapsed_ms))}</p>}
      </div>
      {hunt.failure && <Problem error={new Error(hunt.failure)} />}
      {hunt.rules.map((rule) => (
        <Hunted key={rule.id} rule={rule} named={hunt.rules.length > 1} ended={!goesOn(hunt)} />
      ))}
    </div>
  );
}

function Progress({ hunt }: { hunt: Retrohunt }) {
  const client = useQueryClient();
  const cancelling = useMutation({
    mutationFn: () => cancelRetrohunt(hunt.id),
    onError: toastError,
    // Also where it had ended before.
    onSettled: () => client.invalidateQueries({ queryKey: ['retrohunt', hunt.id] }),
  });
  const isKnown = hunt.state === 'running' && hunt.total > 0;
  return (
    <>
      <progress className={s.progress} aria-label={t.history.progress} {...(isKnown ? { value: hunt.done, max: hunt.total } : {})} />
      {isKnown && <span className="dim num">{t.history.part(Math.floor((100 * hunt.done) / hunt.total))}</span>}
      {may(client.getQueryData<Session>(['session']), 'write') && (
        <Button variant="default" size="compact-sm" aria-label={t.history.cancel} disabled={cancelling.isPending} onClick={() => cancelling.mutate()}>
          {t.common.cancel}
        </Button>
      )}
    </>
  );
}

function Hunted({ rule, named, ended }: { rule: Model<'HuntedRule'>; named: boolean; ended: boolean }) {
  return (
    <div>
      {named && <h3>{visible(rule.title)}</h3>}
      <p>
        <strong>{t.history.findings(rule.findings)}</strong>
        {rule.findings > 0 && `, ${t.history.alerts(rule.alerts)}`}
      </p>
      {rule.first && rule.last && (
        <p className="dim">
          {t.history.first} <Time at={rule.first} />, {t.history.last} <Time at={rule.last} />
        </p>
      )}
      {rule.entities.length > 0 && (
        <>
          <h3 className={s.head}>{t.history.entities}</h3>
          <ul className={s.entities}>
            {rule.entities.map((entity) => (
              <li key={`${entity.kind} ${entity.value}`} className="row">
                <EntityChip entity={entity} />
                <span className="dim num" title={t.history.findings(entity.findings)}>
                  {formatCount(entity.findings)}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
      {ended && rule.samples.some(({ matched }) => matched.length === 0) && rule.entities.length === 0 && <p className="dim">{t.history.forgotten}</p>}
      {rule.samples.length > 0 && (
        <>
          <h3 className={s.head}>{t.history.samples}</h3>
          <ul className={s.samples} tabIndex={0} aria-label={t.history.samples}>
            {rule.samples.map((sample, i) => (
              <li key={i}>
                <Link href={huntLink({ q: clause('event.id', sample.event_id), event: sample.event_id })}>
                  <Time at={sample.time} millis />
                </Link>
                {sample.matched.map(({ field, value }, j) => (
                  <div key={j} className="mono clip">
                    <span className="dim">{field ? visible(field) : t.inbox.keyword}</span> {visible(value)}
                  </div>
                ))}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
