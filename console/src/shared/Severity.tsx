// How bad: by shape (bars that are filled, a sign for critical), by word, and only then by colour.
import { t } from '../strings/en';
import { rank } from './levels';
import s from './severity.module.css';

export function Severity({ level, label = false }: { level: string; label?: boolean }) {
  const filled = rank(level);
  const name = t.levels[level as keyof typeof t.levels] ?? level;
  return (
    <span className={`${s.severity} level-${level}`} title={name}>
      {level === 'critical' ? (
        <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
          <rect x="1" y="1" width="14" height="14" rx="4" fill="currentColor" />
          <path d="M8 4v4.700M8 11.300v.4" stroke="var(--surface)" strokeWidth="2" strokeLinecap="round" />
        </svg>
      ) : level === 'informational' ? (
        <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.500" strokeLinecap="round">
          <circle cx="8" cy="8" r="6" />
          <path d="M8 7.500v3.300M8 5v.1" />
        </svg>
      ) : (
        <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
          {[0, 1, 2].map((bar) => (
            <rect
              key={bar}
              x={1.500 + bar * 4.800}
              y={10 - bar * 3.500}
              width="3.400"
              height={4.500 + bar * 3.500}
              rx="1"
              fill="currentColor"
              opacity={filled > bar ? 1 : 0.28}
            />
          ))}
        </svg>
      )}
      {label ? <span>{name}</span> : <span className="hidden">{name}</span>}
    </span>
  );
}
