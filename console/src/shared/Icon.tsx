// Our few icons: 16 px, drawn with one stroke, always beside or instead of a name that is read out.

const paths = {
  inbox: 'M2 9h3.5l1 2h3l1-2H14M2 9l2-6h8l2 6v4H2z',
  incident: 'M3.500 5a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3M12.500 6.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3M6 14a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3M5 3.800l6 1M4 4.900l1.700 6.200M11.500 6.200l-4.400 5.200',
  hunt: 'M7 2.500a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9M10.300 10.300 14 14',
  sources: 'M1.500 8.500h3l2-5 3 9 2-4h3',
  rules: 'M8 1.500 13.500 4v4c0 3-2.300 5.500-5.500 6.500C4.800 13.500 2.500 11 2.500 8V4zM5.500 8l1.800 1.800 3.200-3.500',
  indicator: 'M8 3a5 5 0 1 1 0 10A5 5 0 0 1 8 3M8 1v3.500M8 11.500V15M1 8h3.500M11.500 8H15',
  entity: 'M8 2a2.700 2.700 0 1 1 0 5.400A2.700 2.700 0 0 1 8 2M2.800 14c.4-3 2.400-4.500 5.200-4.500s4.800 1.500 5.200 4.500',
  replay: 'M2.500 8a5.500 5.500 0 1 0 1.700-4M2.500 2v3h3M6.800 5.800v4.400L10.300 8z',
  settings: 'M2 4.500h6M12 4.500h2M2 11.500h2M8 11.500h6M10 2.700v3.600M6 9.700v3.600',
  check: 'M3 8.500 6.500 12 13 4.500',
  close: 'M4 4l8 8M12 4l-8 8',
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  down: 'M4 6.500 8 10.500l4-4',
  right: 'M6.500 4 10.500 8l-4 4',
  left: 'M9.500 4 5.500 8l4 4',
  sun: 'M8 5.200a2.800 2.800 0 1 1 0 5.600 2.800 2.800 0 0 1 0-5.600M8 1.500v1.300M8 13.200v1.300M1.500 8h1.300M13.200 8h1.300M3.400 3.400l.9.9M11.700 11.700l.9.9M12.600 3.400l-.9.9M4.300 11.700l-.9.9',
  moon: 'M13.500 9.700A5.800 5.800 0 0 1 6.300 2.500a5.800 5.800 0 1 0 7.200 7.200z',
  clock: 'M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2M8 4.800V8l2.300 1.500',
  copy: 'M5.500 5.500h8v8h-8zM3 10.500h-.500v-8h8V3',
  link: 'M6.500 9.500 9.500 6.500M7 4.500 9 2.600a3 3 0 0 1 4.300 4.300L11.500 9M9 11.500 7 13.400A3 3 0 0 1 2.700 9L4.500 7',
  download: 'M8 2v8M4.500 6.800 8 10.200l3.500-3.400M2.500 13.500h11',
  save: 'M4 2.500h8v11.300L8 10.800l-4 3z',
  more: 'M3 8h.01M8 8h.01M13 8h.01',
  flag: 'M4 14.500v-12h8.500l-2 3 2 3H4',
  play: 'M5 3v10l8-5z',
  pause: 'M5 3v10M11 3v10',
  back: 'M4 3v10M13 3v10L6 8z',
  forward: 'M12 3v10M3 3v10l7-5z',
  host: 'M2 3h12v7.500H2zM5.500 13.500h5M8 10.500v3',
  user: 'M8 2.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5M3 13.500c.4-2.700 2.300-4 5-4s4.600 1.300 5 4',
  ip: 'M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2M2 8h12M8 2c-4.500 4-4.500 8 0 12M8 2c4.500 4 4.500 8 0 12',
  process: 'M2.500 3h11v10h-11zM5 6.500 7 8l-2 1.500M8.500 10h2.500',
  file: 'M4 1.800h5l3.200 3.200v9.200H4zM9 1.800V5h3.200',
  domain: 'M2 4h12v8H2zM2 6.500h12',
  source: 'M1.500 8.500h3l2-5 3 9 2-4h3',
  person: 'M8 2.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5M3 13.500c.4-2.700 2.300-4 5-4s4.600 1.300 5 4',
  note: 'M3 2.500h10v8l-3 3H3zM5.500 6h5M5.500 8.500h3',
  undo: 'M3 6.500h6.500a3.500 3.500 0 0 1 0 7H6M5.500 3.500l-3 3 3 3',
  alert: 'M8 2.200 14.500 13.500h-13zM8 6.500v3.200M8 11.600v.1',
  table: 'M2 3h12v10H2zM2 6.500h12M2 10h12M6.500 6.500V13',
  filter: 'M2 3.500h12L9.500 9v4.500l-3-1.500V9z',
  columns: 'M2.500 3h11v10h-11zM6.200 3v10M9.800 3v10',
  stop: 'M4 4h8v8H4z',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 16, filled = false }: { name: IconName; size?: number; filled?: boolean }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill={filled ? 'currentColor' : 'none'}
      stroke="currentColor"
      strokeWidth={name === 'more' ? 2.4 : 1.4}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={paths[name]} />
    </svg>
  );
}

const kinds: IconName[] = ['host', 'user', 'ip', 'process', 'file', 'domain', 'source'];
export const kindIcon = (kind: string): IconName => (kinds.includes(kind as IconName) ? (kind as IconName) : 'entity');
