import type { IconName } from '../shared/Icon';
import { t } from '../strings/en';

/** Where one can go, and by which key after `g`. */
export const places: { to: string; icon: IconName; name: string; key: string }[] = [
  { to: '/inbox', icon: 'inbox', name: t.nav.inbox, key: 'i' },
  { to: '/incidents', icon: 'incident', name: t.nav.incidents, key: 'n' },
  { to: '/hunt', icon: 'hunt', name: t.nav.hunt, key: 'h' },
  { to: '/entity', icon: 'entity', name: t.nav.entity, key: 'e' },
  { to: '/replay', icon: 'replay', name: t.nav.replay, key: 'p' },
  { to: '/rules', icon: 'rules', name: t.nav.rules, key: 'r' },
  { to: '/indicators', icon: 'indicator', name: t.nav.indicators, key: 't' },
  { to: '/sources', icon: 'sources', name: t.nav.sources, key: 's' },
  { to: '/settings', icon: 'settings', name: t.nav.settings, key: ',' },
];
