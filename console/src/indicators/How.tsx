import { visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import s from './indicators.module.css';

const icons = { ok: 'check', warn: 'alert', fail: 'close' } as const;

/** How a feed is doing: a mark, a word, and why. */
export function How({ status, word, why }: { status: keyof typeof icons; word: string; why?: string | null | undefined }) {
  return (
    <div className={s.how} data-status={status}>
      <Icon name={icons[status]} />
      <span className={s.anywhere}>
        {word}
        {why && <span className="dim">: {visible(why)}</span>}
      </span>
    </div>
  );
}
