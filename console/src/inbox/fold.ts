// How a changed alert changes a list that is already on the screen. Lists are pages of alerts in an order; the stream
// says each alert's latest state with a revision that only grows.
import type { AlertPages } from '../api/alerts';
import type { Alert } from '../api/model';
import { rank } from '../shared/levels';

/** The list's parameters, as the API takes them. */
export interface InboxFilter {
  state?: string;
  level?: string;
  rule?: string;
  entity?: string;
  entity_kind?: string;
  sort: 'newest' | 'worst';
}

export function belongs(alert: Alert, filter: InboxFilter): boolean {
  const states = filter.state?.split(',').flatMap((s) => (s === 'open' ? ['new', 'acknowledged'] : [s]));
  if (states && !states.includes(alert.state)) return false;
  if (filter.level && rank(alert.rule.level) < rank(filter.level)) return false;
  if (filter.rule && alert.rule.id !== filter.rule && alert.rule.title !== filter.rule) return false;
  if (filter.entity) {
    return [alert.entity, ...alert.entities].some(
      (it) => it.value === filter.entity && (!filter.entity_kind || it.kind === filter.entity_kind),
    );
  }
  return true;
}

/** Below zero if `a` comes first. The same order as the server's. */
export function order(a: Alert, b: Alert, sort: InboxFilter['sort']): number {
  if (sort === 'worst') {
    const worse = rank(b.rule.level) - rank(a.rule.level);
    if (worse) return worse;
  }
  if (a.last !== b.last) return a.last > b.last ? -1 : 1;
  return b.id - a.id;
}

/** The pages with the changed alerts in place. Unless `sure`, a change is a guess that any answer may replace. */
export function fold(pages: AlertPages, changed: Alert[], filter: InboxFilter, sure = true): AlertPages {
  const first = pages.pages[0];
  if (!first) return pages;
  const latest = new Map(changed.map((alert) => [alert.id, alert]));
  let total = first.total;
  let touched = false;
  const kept: Alert[] = [];
  for (const old of pages.pages.flatMap((page) => page.alerts)) {
    const fresh = latest.get(old.id);
    if (!fresh || (sure && fresh.revision <= old.revision && fresh !== old)) {
      latest.delete(old.id);
      kept.push(old);
      continue;
    }
    touched = true;
    if (!belongs(fresh, filter)) {
      latest.delete(old.id);
      total -= 1;
    }
    // The others are put in place below.
  }
  const gone = kept.length < pages.pages.reduce((sum, page) => sum + page.alerts.length, 0);
  const whole = pages.pages.reduce((sum, page) => sum + page.alerts.length, 0) >= first.total;
  const before = new Set(pages.pages.flatMap((page) => page.alerts.map((alert) => alert.id)));
  for (const alert of latest.values()) {
    if (!belongs(alert, filter)) continue;
    const at = kept.findIndex((other) => order(alert, other, filter.sort) < 0);
    if (!before.has(alert.id)) total += 1;
    // What belongs behind the loaded part comes with its page.
    if (at < 0 && !whole && !before.has(alert.id)) {
      touched = true;
      continue;
    }
    if (at < 0) kept.push(alert);
    else kept.splice(at, 0, alert);
    touched = true;
  }
  if (!touched && !gone) return pages;
  // One page: offsets of further pages go on from what is loaded.
  return { pages: [{ alerts: kept, total: Math.max(total, kept.length) }], pageParams: [0] };
}
