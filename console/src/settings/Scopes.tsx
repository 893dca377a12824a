import { Checkbox } from '@mantine/core';
import { t } from '../strings/en';

export const scopes = ['read', 'write', 'ingest', 'admin'] as const;

export function Scopes({ value, onChange, most }: { value: string[]; onChange: (scopes: string[]) => void; most?: string[] }) {
  const allowed = (scope: string) => !most || most.includes('admin') || most.includes(scope);
  return (
    <fieldset>
      <legend className="hidden">{t.settings.scopes}</legend>
      {scopes.filter(allowed).map((scope) => (
        <Checkbox
          key={scope}
          label={scope}
          checked={value.includes(scope)}
          onChange={(event) => onChange(event.currentTarget.checked ? [...value, scope] : value.filter((it) => it !== scope))}
        />
      ))}
    </fieldset>
  );
}
