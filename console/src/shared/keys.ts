// Keys for everything. One listener; the latest mounted binding goes first; nothing fires while somebody types.
import { useEffect, useRef } from 'react';

/** A binding that answers false leaves the key to whoever is next, at last to the browser. */
export type Bindings = Record<string, (event: KeyboardEvent) => unknown>;

/** True if the event comes from where letters are text. Looks into shadow roots: the editor lives in one. */
export function typing(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

/** `j`, `?`, `mod+k`, `shift+Enter`. */
export function chord(event: KeyboardEvent): string {
  const mod = event.metaKey || event.ctrlKey ? 'mod+' : '';
  const alt = event.altKey ? 'alt+' : '';
  // The shift of `?` is part of the character.
  const shift = event.shiftKey && event.key.length > 1 ? 'shift+' : '';
  return `${mod}${alt}${shift}${event.key.length === 1 ? event.key.toLowerCase() : event.key}`;
}

const layers: { current: Bindings; always: boolean }[] = [];
let prefix: { key: string; at: number } | undefined;

function listen(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const key = chord(event);
  const inText = typing(event);
  // An open dialog has the keyboard to itself.
  const dialog = document.querySelector('[role=dialog][aria-modal=true]');
  const sequence = prefix && Date.now() - prefix.at < 1200 ? `${prefix.key} ${key}` : undefined;
  prefix = undefined;
  for (const layer of [...layers].reverse()) {
    const name = [sequence, key].find((it) => it !== undefined && layer.current[it]);
    if (!name) continue;
    if (!layer.always && (dialog || (inText && !key.startsWith('mod+')))) continue;
    if (layer.current[name]!(event) === false) continue;
    event.preventDefault();
    return;
  }
  if (!inText && !dialog && layers.some((layer) => Object.keys(layer.current).some((it) => it.startsWith(`${key} `)))) {
    prefix = { key, at: Date.now() };
  }
}

/** Binds keys while the component is there. `always`: also while typing and over dialogs. */
export function useKeys(bindings: Bindings, always = false): void {
  const layer = useRef({ current: bindings, always });
  layer.current.current = bindings;
  useEffect(() => {
    const mine = layer.current;
    if (layers.length === 0) window.addEventListener('keydown', listen);
    layers.push(mine);
    return () => {
      layers.splice(layers.indexOf(mine), 1);
      if (layers.length === 0) window.removeEventListener('keydown', listen);
    };
  }, []);
}
