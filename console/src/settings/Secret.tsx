import { CopyButton } from '../shared/Bits';
import { t } from '../strings/en';
import s from './settings.module.css';

/** Something that is shown once. */
export function Secret({ text, what }: { text: string; what: string }) {
  return (
    <div className={s.secret} role="status">
      <span>{what}</span>
      <code>{text}</code>
      <CopyButton text={text} />
      <span className="dim">{t.settings.once}</span>
    </div>
  );
}
