import { Button, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type FormEvent } from 'react';
import type { Settings } from '../api/model';
import { saveRetention, useSettings } from '../api/settings';
import { Waiting } from '../shared/Bits';
import { formatBytes } from '../shared/format';
import { Problem } from '../shared/Problem';
import { toast } from '../shared/toasts';
import { t } from '../strings/en';
import s from './settings.module.css';

type Retention = Settings['retention'];
const names: (keyof Retention)[] = ['max_age_days', 'max_bytes', 'max_disk_percent'];

/** Why what was typed is no limit, if it is none. */
const wrongWith = (name: keyof Retention, text: string): string | undefined =>
  !/^\d*$/.test(text) ? t.retention.number : text === '' && name !== 'max_bytes' ? t.retention.needed : undefined;

export function Retention({ admin }: { admin: boolean }) {
  const settings = useSettings();
  const client = useQueryClient();
  const [text, setText] = useState<Record<string, string>>({});
  const retention = settings.data?.retention;
  useEffect(() => {
    if (retention) setText(Object.fromEntries(names.map((name) => [name, retention[name] == null ? '' : String(retention[name])])));
  }, [retention]);
  const wrong = names.some((name) => wrongWith(name, text[name] ?? ''));
  const saving = useMutation({
    mutationFn: () => saveRetention({ max_age_days: Number(text['max_age_days']), max_bytes: text['max_bytes'] ? Number(text['max_bytes']) : null, max_disk_percent: Number(text['max_disk_percent']) }),
    onSuccess: () => {
      toast(t.retention.saved);
      void client.invalidateQueries({ queryKey: ['settings'] });
    },
  });
  if (settings.isPending) return <Waiting what={t.settings.loading} />;
  if (!settings.data) return <Problem error={settings.error} what={t.settings.what} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <form className={`card stack ${s.narrow}`} onSubmit={submit} aria-label={t.settings.tabs.retention}>
      <h2>{t.settings.tabs.retention}</h2>
      <p className="dim">{t.retention.lead}</p>
      {names.map((name) => (
        <TextInput
          key={name}
          label={t.retention.names[name]}
          description={name === 'max_bytes' && /^\d+$/.test(text[name] ?? '') ? formatBytes(Number(text[name])) : undefined}
          inputMode="numeric"
          disabled={!admin}
          value={text[name] ?? ''}
          error={wrongWith(name, text[name] ?? '')}
          onChange={(event) => setText({ ...text, [name]: event.currentTarget.value })}
        />
      ))}
      {saving.isError && <Problem error={saving.error} what={t.settings.what} />}
      <Button type="submit" disabled={!admin || wrong || saving.isPending}>
        {t.common.save}
      </Button>
    </form>
  );
}
