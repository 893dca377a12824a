// A section of the configuration as a text: checked as it is written, in force as soon as it is saved.
import { Button } from '@mantine/core';
import { yaml } from '@codemirror/lang-yaml';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Model } from '../api/model';
import { Refusal } from '../api/http';
import { checkSection, getSection, restoreSection, saveSection } from '../api/settings';
import { Waiting } from '../shared/Bits';
import { Editor } from '../shared/Editor';
import { visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { toast } from '../shared/toasts';
import { useSettled } from '../shared/useSettled';
import { useUnsaved } from '../shared/useUnsaved';
import { t } from '../strings/en';
import { Confirm } from './Confirm';
import s from './settings.module.css';

type Name = Model<'Section'>;
const language = yaml();

/** The section, for those who may change it. `example` is what to begin with where nothing is written yet. */
export function Section({ name, example = '' }: { name: Name; example?: string }) {
  const section = useQuery({ queryKey: ['section', name], queryFn: ({ signal }) => getSection(name, signal), staleTime: 60_000 });
  return (
    <section className="card stack" aria-label={t.section.titles[name]}>
      <h2>{t.section.titles[name]}</h2>
      {section.isPending && <Waiting what={t.settings.loading} />}
      {section.isError && <Problem error={section.error} what={t.settings.what} />}
      {section.data && <Text section={section.data} example={example} />}
    </section>
  );
}

function Text({ section, example }: { section: Model<'SectionModel'>; example: string }) {
  const { section: name, text: original, changed } = section;
  const client = useQueryClient();
  const [text, setText] = useState(original || example);
  // What the server has now takes the place of what it had, but not of what was typed meanwhile.
  const [last, setLast] = useState(original);
  if (last !== original) {
    setLast(original);
    if (text === last) setText(original);
  }
  const typed = text !== original;
  useUnsaved(typed && text !== example);
  const settled = useSettled(text, 300);
  const checked = useQuery({
    queryKey: ['section-check', name, settled],
    queryFn: ({ signal }) => checkSection(name, settled, signal),
    retry: false,
    placeholderData: (old) => old,
    // What is in force is fine, even if its secrets are not shown.
    enabled: typed && settled === text,
  });
  const verdict = typed && settled === text && !checked.isPlaceholderData ? checked.data : undefined;
  const done = (now: Model<'SectionModel'>) => {
    toast(t.section.inForce);
    client.setQueryData(['section', name], now);
    for (const key of ['settings', 'notifications']) void client.invalidateQueries({ queryKey: [key] });
  };
  const saving = useMutation({
    mutationFn: (sent: string) => saveSection(name, sent),
    onSuccess: (now, sent) => {
      setText((it) => (it === sent ? now.text : it));
      done(now);
    },
  });
  const restoring = useMutation({
    mutationFn: () => restoreSection(name),
    onSuccess: (now) => {
      setText(now.text || example);
      done(now);
    },
  });
  const busy = saving.isPending || restoring.isPending;
  const failed = saving.error ?? restoring.error;
  // What only shows when it is put into force: a file that is not there, say.
  const late = saving.error instanceof Refusal ? saving.error.diagnostics : [];
  const write = (now: string) => {
    setText(now);
    saving.reset();
    restoring.reset();
  };
  return (
    <>
      <p className="dim">{changed ? t.section.changed : t.section.asConfigured}</p>
      <div className={s.editor}>
        <Editor value={text} onChange={(now) => now !== text && write(now)} label={t.section.titles[name]} language={language} lines height="min(40vh, 360px)" hint={t.section.empty} diagnostics={late.length > 0 ? late : verdict?.diagnostics} />
      </div>
      <div role="status">
        {typed && checked.isError && <Problem error={checked.error} what={t.settings.what} />}
        {verdict?.diagnostics.map((it, i) => (
          <p key={i}>
            {it.line > 0 && <span className="mono dim">{it.line}:{it.column}</span>} {visible(it.message)}
            {it.hint && <span className="dim"> {visible(it.hint)}</span>}
          </p>
        ))}
      </div>
      {text.includes('[secret]') && <p className="dim">{t.section.secret}</p>}
      {failed && <Problem error={failed} what={t.settings.what} />}
      <div className="row wrap">
        <Button onClick={() => saving.mutate(text)} disabled={!verdict?.fine || busy}>
          {t.common.save}
        </Button>
        {typed && (
          <Button variant="default" onClick={() => write(original)} disabled={busy}>
            {t.rules.revert}
          </Button>
        )}
        {changed && <Confirm label={t.section.restore} ask={t.section.restoreAsk} onYes={() => (saving.reset(), restoring.mutate())} />}
      </div>
    </>
  );
}
