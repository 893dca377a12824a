import { Button, Menu, Modal, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { call, notOffered } from '../api/http';
import type { SavedSearch } from '../api/model';
import type { Changes } from '../shared/address';
import { Icon } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { toast, toastError } from '../shared/toasts';
import { visible } from '../shared/format';
import { t } from '../strings/en';
import type { Hunt } from './state';

export function Saved({ hunt, draft, columns, set }: { hunt: Hunt; draft: string; columns: string[]; set: (changes: Changes) => void }) {
  const client = useQueryClient();
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState('');
  const saved = useQuery({ queryKey: ['searches'], queryFn: () => call<{ searches: SavedSearch[] }>('GET', '/searches'), retry: false });
  const refresh = () => void client.invalidateQueries({ queryKey: ['searches'] });
  const saving = useMutation({
    mutationFn: () => {
      const same = saved.data?.searches.find((it) => it.name === name.trim());
      const body = { name: name.trim(), query: draft, language: hunt.lang, columns };
      return same ? call('PUT', `/searches/${same.id}`, body) : call('POST', '/searches', body);
    },
    onSuccess: () => {
      toast(t.saved.done(name.trim()));
      setNaming(false);
      refresh();
    },
  });
  const removing = useMutation({
    mutationFn: (search: SavedSearch) => call('DELETE', `/searches/${search.id}`),
    onSuccess: refresh,
    onError: toastError,
  });
  const open = (search: SavedSearch) =>
    set({ q: search.query, lang: search.language === 'sql' ? 'sql' : undefined, cols: search.columns.join(',') || undefined, event: undefined });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <button type="button" className="quiet" title={t.saved.title}>
            <Icon name="save" /> {t.saved.title}
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          {notOffered(saved.error) ? (
            <Menu.Label>{t.problem.notOffered(t.saved.what)}</Menu.Label>
          ) : (
            <>
              <Menu.Item onClick={() => setNaming(true)}>{t.saved.save}</Menu.Item>
              <Menu.Divider />
              {saved.data?.searches.length === 0 && <Menu.Label>{t.saved.none}</Menu.Label>}
              {saved.data?.searches.map((search) => (
                <Menu.Item key={search.id} onClick={() => open(search)}>
                  <strong>{visible(search.name)}</strong> <span className="dim">{visible(search.owner)}</span>
                </Menu.Item>
              ))}
              {(saved.data?.searches.length ?? 0) > 0 && <Menu.Label>{t.saved.remove}</Menu.Label>}
              {saved.data?.searches.map((search) => (
                <Menu.Item key={`remove ${search.id}`} onClick={() => removing.mutate(search)} leftSection={<Icon name="close" size={12} />}>
                  {visible(search.name)}
                </Menu.Item>
              ))}
            </>
          )}
        </Menu.Dropdown>
      </Menu>
      <Modal opened={naming} onClose={() => setNaming(false)} title={t.saved.save} transitionProps={{ duration: 0 }}>
        <form className="stack" onSubmit={submit}>
          <TextInput label={t.saved.name} data-autofocus required maxLength={120} value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <pre className="record">{draft || '*'}</pre>
          {saving.isError && <Problem error={saving.error} what={t.saved.what} />}
          <Button type="submit" disabled={!name.trim() || saving.isPending}>
            {t.common.save}
          </Button>
        </form>
      </Modal>
    </>
  );
}
