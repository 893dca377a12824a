// What is always there: where one can go, the palette, the time zone, the theme, the connection, and who one is.
import { Menu, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useEffect, useState, type ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { useCounts } from '../api/alerts';
import { useAlertStream, useConnection } from '../api/live';
import type { Session } from '../api/model';
import { signOut } from '../api/session';
import { modKey } from '../shared/Bits';
import { formatShort } from '../shared/format';
import { Icon } from '../shared/Icon';
import { useKeys } from '../shared/keys';
import { toastError } from '../shared/toasts';
import { useNow, useZone } from '../shared/zone';
import { formatAgo } from '../shared/time';
import { t } from '../strings/en';
import { places } from './places';
import s from './shell.module.css';

// Fetched when the page has come to rest: they are there when they are called, and nobody waits for them.
const loadPalette = () => import('./Palette');
const loadKeys = () => import('./Keys');
const Palette = lazy(loadPalette);
const Keys = lazy(loadKeys);

export function Shell({ session, children }: { session: Session; children: ReactNode }) {
  useAlertStream();
  const [, navigate] = useLocation();
  const [palette, setPalette] = useState(false);
  const [keys, setKeys] = useState(false);
  const { toggle: toggleZone } = useZone();
  // Stopping transitions meanwhile would inject a style element.
  const { setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const scheme = useComputedColorScheme('dark');
  const toggleScheme = () => setColorScheme(scheme === 'dark' ? 'light' : 'dark');
  useEffect(() => {
    // Ahead of time only: if the server is away just now, they are asked for again when they are needed.
    const timer = setTimeout(() => Promise.all([loadPalette(), loadKeys()]).catch(() => undefined), 1500);
    return () => clearTimeout(timer);
  }, []);
  useKeys({ 'mod+k': () => setPalette((open) => !open) }, true);
  useKeys({
    '?': () => setKeys(true),
    u: toggleZone,
    ...Object.fromEntries(places.map((place) => [`g ${place.key}`, () => navigate(place.to)])),
  });
  return (
    <div className={s.shell}>
      <a href="#main" className={s.skip}>
        {t.shell.skip}
      </a>
      <Rail />
      <div className={s.main}>
        <header className={s.bar}>
          <button type="button" className={s.search} onClick={() => setPalette(true)} aria-haspopup="dialog">
            <Icon name="hunt" />
            <span className="grow clip">{t.shell.paletteHint}</span>
            <kbd>{modKey} K</kbd>
          </button>
          <span className="grow" />
          <ConnectionState />
          <ZoneSwitch />
          <button
            type="button"
            className="quiet"
            onClick={toggleScheme}
            aria-label={scheme === 'dark' ? t.shell.light : t.shell.dark}
            title={scheme === 'dark' ? t.shell.light : t.shell.dark}
          >
            <Icon name={scheme === 'dark' ? 'sun' : 'moon'} />
          </button>
          <Person session={session} onKeys={() => setKeys(true)} />
        </header>
        <main id="main" className={s.content} tabIndex={-1}>
          {children}
        </main>
      </div>
      <Suspense>
      {palette && <Palette
        onClose={() => setPalette(false)}
        actions={[
          { name: scheme === 'dark' ? t.shell.light : t.shell.dark, icon: scheme === 'dark' ? 'sun' : 'moon', run: toggleScheme },
          { name: t.shell.toggleZone, icon: 'clock', keys: 'u', run: toggleZone },
          { name: t.keys.title, icon: 'more', keys: '?', run: () => setKeys(true) },
        ]}
      />}
      {keys && <Keys onClose={() => setKeys(false)} />}
      </Suspense>
    </div>
  );
}

function Rail() {
  const [location] = useLocation();
  const counts = useCounts();
  const fresh = Object.values(counts.data?.['new'] ?? {}).reduce((sum, n) => sum + n, 0);
  return (
    <nav className={s.rail} aria-label={t.nav.label}>
      <Link href="/inbox" className={s.brand} aria-label="Vedette">
        <img src="/favicon.svg" alt="" width="24" height="24" />
        <span>Vedette</span>
      </Link>
      {places.map((place) => {
        const here = location === place.to || location.startsWith(`${place.to}/`);
        return (
          <Link
            key={place.to}
            href={place.to}
            className={s.place}
            aria-current={here ? 'page' : undefined}
            title={`${place.name} (g ${place.key})`}
          >
            <Icon name={place.icon} />
            <span className={s.placeName}>{place.name}</span>
            {place.to === '/inbox' && fresh > 0 && (
              <span className={s.badge} title={t.nav.newAlerts(fresh)}>
                {formatShort(fresh)}
                <span className="hidden"> {t.nav.newAlerts(fresh)}</span>
              </span>
            )}
          </Link>
        );
      })}
    </nav>
  );
}

function ConnectionState() {
  const connection = useConnection();
  const now = useNow();
  const text =
    connection.state === 'live'
      ? t.shell.live
      : connection.state === 'connecting'
        ? t.shell.connecting
        : t.shell.lost(formatAgo(connection.since, now));
  return (
    <span className={s.connection} data-state={connection.state} role="status" title={text}>
      <span className={s.dot} aria-hidden="true" />
      <span className={s.connectionText}>{text}</span>
    </span>
  );
}

function ZoneSwitch() {
  const { zone, toggle } = useZone();
  const local = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <button type="button" className={`quiet ${s.zone}`} onClick={toggle} title={t.shell.zoneHint(local)}>
      <Icon name="clock" />
      {zone === 'utc' ? 'UTC' : t.shell.local}
      <span className="hidden">: {t.shell.toggleZone}</span>
    </button>
  );
}

function Person({ session, onKeys }: { session: Session; onKeys: () => void }) {
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const leave = () =>
    void signOut()
      .then(() => client.setQueryData(['session'], null))
      .catch(toastError);
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <button type="button" className={s.person} title={session.name}>
          {session.name.slice(0, 2).toUpperCase()}
          <span className="hidden">: {t.shell.account(session.name)}</span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {session.name} · {session.scopes.join(', ')}
        </Menu.Label>
        <Menu.Item onClick={() => navigate('/settings')}>{t.nav.settings}</Menu.Item>
        <Menu.Item onClick={onKeys}>{t.keys.title}</Menu.Item>
        <Menu.Divider />
        <Menu.Item onClick={leave}>{t.sign.out}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
