// One case: what is in it, what is to be done, what was found, and in the end what it was.
import { useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent, type ReactNode } from 'react';
import { Link, useParams } from 'wouter';
import { useAlert } from '../api/alerts';
import { useCase, useCaseChange, useIncident, type CaseChange } from '../api/incidents';
import type { CaseDetail, Model, Session } from '../api/model';
import { may } from '../api/session';
import { Changes, LineForm } from '../inbox/History';
import { StateMark } from '../inbox/StateMark';
import { CopyButton, EntityChip, Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { clause, huntLink } from '../shared/query';
import { Severity } from '../shared/Severity';
import { toast, toastError } from '../shared/toasts';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { Actions, assigning, Judge, type Action } from './Actions';
import { nameOf } from './name';
import s from './incidents.module.css';

type Change = (change: CaseChange, done?: () => void) => void;

export default function CasePage() {
  const id = Number(useParams<{ id: string }>().id);
  const found = useCase(id);
  if (found.data) return <Page key={id} it={found.data} />;
  return <div className="page-body">{found.isError ? <Problem error={found.error} what={t.incidents.tabs.cases} retry={() => void found.refetch()} /> : <Waiting what={t.cases.loadingOne} />}</div>;
}

function Page({ it }: { it: CaseDetail }) {
  const session = useQueryClient().getQueryData<Session>(['session']);
  const mayWrite = may(session, 'write');
  // A closed case takes notes, and nothing else.
  const open = mayWrite && it.state === 'open';
  const changing = useCaseChange(it.id);
  const change: Change = (what, done) => changing.mutate(what, { onSuccess: () => done?.() });
  return (
    <div className="page">
      <div className="page-head">
        <Icon name="note" />
        <h1 className="clip">
          {t.incidents.inCase(it.id)}: {visible(it.title)}
        </h1>
        <StateMark state={it.state} verdict={it.verdict} label />
      </div>
      <div className={`page-body ${s.body}`}>
        <div className={s.meta}>
          <Link href="/incidents?tab=cases">{t.incidents.tabs.cases}</Link>
          <span>
            <Time at={it.opened} /> – <Time at={it.changed} />
          </span>
          {it.assignee && <span>{t.inbox.assignedTo(visible(it.assignee))}</span>}
        </div>
        {it.summary && <p className="card">{visible(it.summary)}</p>}
        {mayWrite && <Actions actions={open ? openActions(it, session?.name ?? '', change) : [{ name: t.cases.reopen, run: () => change({ path: 'reopen' }) }]} />}
        <div className={s.halves}>
          <Section name={t.cases.incidents}>
            <ul className={s.items}>
              {it.incidents.map((id) => (
                <IncidentItem key={id} id={id} {...(open ? { onRemove: () => change({ method: 'DELETE', path: `incidents/${id}` }) } : {})} />
              ))}
            </ul>
            {it.incidents.length === 0 && <p className="dim">{t.cases.noIncidents}</p>}
            {open && <LineForm label={t.cases.incidentNumber} button={t.incidents.add} onAdd={(text) => withNumber(text, (incident) => change({ path: 'incidents', body: { incident } }))} />}
          </Section>
          <Section name={t.cases.alerts}>
            <ul className={s.items}>
              {it.alerts.map((id) => (
                <AlertItem key={id} id={id} {...(open ? { onRemove: () => change({ method: 'DELETE', path: `alerts/${id}` }) } : {})} />
              ))}
            </ul>
            {it.alerts.length === 0 && <p className="dim">{t.cases.noIncidents}</p>}
            {open && <LineForm label={t.cases.alertNumber} button={t.incidents.add} onAdd={(text) => withNumber(text, (alert) => change({ path: 'alerts', body: { alert } }))} />}
          </Section>
          <Section name={t.cases.tasks}>
            <ul className={s.items}>
              {it.tasks.map((task) => (
                <li key={task.id}>
                  <label className={s.task}>
                    <input
                      type="checkbox"
                      checked={!!task.done_at}
                      disabled={!open}
                      onChange={(event) => change({ method: 'PUT', path: `tasks/${task.id}`, body: { done: event.currentTarget.checked } })}
                    />
                    <span>{visible(task.text)}</span>
                  </label>
                  {task.done_by && task.done_at && (
                    <span className="dim">
                      {t.cases.doneBy(visible(task.done_by))} <Time at={task.done_at} ago />
                    </span>
                  )}
                </li>
              ))}
            </ul>
            {open && <LineForm label={t.cases.task} button={t.incidents.add} onAdd={(text) => change({ path: 'tasks', body: { text } })} />}
          </Section>
          <Section name={t.cases.notes}>
            <ul className={s.notes}>
              {it.notes.map((note, i) => (
                <li key={i}>
                  <span className="dim">
                    <strong>{visible(note.author)}</strong> <Time at={note.time} />
                  </span>
                  <p>{visible(note.text)}</p>
                </li>
              ))}
            </ul>
            {mayWrite && <LineForm label={t.inbox.note} button={t.inbox.addNote} onAdd={(note) => change({ path: 'note', body: { note } })} />}
          </Section>
          <Section name={t.cases.evidence}>
            <ul className={s.notes}>
              {it.evidence.map((piece, i) => (
                <li key={i}>
                  <Evidence item={piece.item} />{' '}
                  <span className="dim">
                    {visible(piece.added_by)} <Time at={piece.added} />
                  </span>
                  {piece.comment && <p>{visible(piece.comment)}</p>}
                </li>
              ))}
            </ul>
            {open && <EvidenceForm change={change} />}
          </Section>
          <Section name={t.inbox.history}>
            <Changes history={it.history} />
          </Section>
        </div>
      </div>
    </div>
  );
}

const openActions = (it: CaseDetail, me: string, change: Change): Action[] => [
  ...assigning(it.assignee, me, (to) => change({ path: 'assign', body: { to } })),
  { name: t.cases.rename, form: (done) => <LineForm label={t.incidents.caseTitle} button={t.common.save} onAdd={(title) => change({ path: 'rename', body: { title } }, done)} /> },
  {
    name: t.incidents.close,
    form: (done) => (
      <Judge
        label={`${t.cases.summary}: ${t.cases.summaryHint}`}
        required
        onVerdict={(verdict, summary) => change({ path: 'close', body: { verdict, summary } }, () => (done(), toast(t.incidents.closed(t.verdicts[verdict]))))}
      />
    ),
  },
];

/** People write `#3` too. */
function withNumber(text: string, use: (n: number) => void): void {
  const n = Number(text.replace(/^#/, ''));
  if (Number.isSafeInteger(n) && n > 0) use(n);
  else toastError(t.cases.notNumber(text));
}

function Section({ name, children }: { name: string; children: ReactNode }) {
  return (
    <section className="card stack" aria-label={name}>
      <h2>{name}</h2>
      {children}
    </section>
  );
}

function Remove({ what, onRemove }: { what: string; onRemove: () => void }) {
  return (
    <button type="button" className="quiet" onClick={onRemove} aria-label={t.cases.remove(what)} title={t.cases.remove(what)}>
      <Icon name="close" />
    </button>
  );
}

function IncidentItem({ id, onRemove }: { id: number; onRemove?: () => void }) {
  const incident = useIncident(id).data;
  return (
    <li>
      {incident && <Severity level={incident.level} />}
      <Link className="grow clip" href={`/incidents/${id}`}>
        {incident ? nameOf(incident) : t.inbox.incident(id)}
      </Link>
      {incident && <StateMark state={incident.state} verdict={incident.verdict} />}
      {incident && (
        <span className="dim">
          <Time at={incident.last} ago />
        </span>
      )}
      {onRemove && <Remove what={t.inbox.incident(id)} onRemove={onRemove} />}
    </li>
  );
}

function AlertItem({ id, onRemove }: { id: number; onRemove?: () => void }) {
  const alert = useAlert(id).data;
  return (
    <li>
      {alert && <Severity level={alert.rule.level} />}
      <Link className="grow clip" href={`/inbox?state=all&alert=${id}`}>
        {alert ? visible(alert.rule.title) : t.cases.alert(id)}
      </Link>
      {alert && <EntityChip entity={alert.entity} />}
      {alert && <StateMark state={alert.state} verdict={alert.verdict} />}
      {onRemove && <Remove what={t.cases.alert(id)} onRemove={onRemove} />}
    </li>
  );
}

function Evidence({ item }: { item: Model<'EvidenceItem'> }) {
  if ('event' in item) {
    return (
      <Link className="mono" href={huntLink({ q: clause('event.id', item.event), event: item.event })}>
        {visible(item.event)}
      </Link>
    );
  }
  const { name, blake3 } = item.bundle;
  return (
    <>
      {t.cases.bundle} <span className="mono">{visible(name)}</span> <span className="mono dim" title={blake3}>{blake3.slice(0, 12)}…</span>
      <CopyButton text={blake3} />
    </>
  );
}

function EvidenceForm({ change }: { change: Change }) {
  const [event, setEvent] = useState('');
  const [comment, setComment] = useState('');
  const submit = (submitted: FormEvent) => {
    submitted.preventDefault();
    const body: Model<'NewEvidence'> = { item: { event: event.trim() }, ...(comment.trim() ? { comment: comment.trim() } : {}) };
    change({ path: 'evidence', body }, () => (setEvent(''), setComment('')));
  };
  return (
    <form className={s.inline} onSubmit={submit}>
      <input className={s.text} value={event} onChange={(it) => setEvent(it.currentTarget.value)} placeholder={t.cases.eventId} aria-label={t.cases.eventId} />
      <input className={s.text} value={comment} onChange={(it) => setComment(it.currentTarget.value)} placeholder={t.cases.shows} aria-label={t.cases.shows} />
      <button type="submit" className={s.action} disabled={!event.trim()}>
        {t.incidents.add}
      </button>
    </form>
  );
}
