// A page's state is its address.
import { useCallback } from 'react';
import { useSearchParams } from 'wouter';

export type Changes = Record<string, string | string[] | undefined>;

/** What the address asks for, and how to change some of it; what is changed to nothing is taken out. */
export function useAddress() {
  const [params, setParams] = useSearchParams();
  const set = useCallback(
    (changes: Changes, replace = true) =>
      setParams(
        (old) => {
          const next = new URLSearchParams(old);
          for (const [name, value] of Object.entries(changes)) {
            if (typeof value === 'string' && value) {
              next.set(name, value);
              continue;
            }
            next.delete(name);
            if (Array.isArray(value)) for (const one of value) next.append(name, one);
          }
          return next;
        },
        { replace },
      ),
    [setParams],
  );
  return { params, set };
}
