import type { Source } from '../api/model';

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0);

export interface Account {
  received: number;
  stored: number;
  refused: number;
  shed: number;
  /** True if received = stored + refused + shed. */
  even: boolean;
}

export function account(source: Pick<Source, 'received' | 'stored' | 'refused' | 'shed'>): Account {
  const { received, stored } = source;
  const refused = sum(source.refused);
  const shed = sum(source.shed);
  return { received, stored, refused, shed, even: received === stored + refused + shed };
}

/** The account of all sources together; even only if each is. */
export function addUp(sources: Parameters<typeof account>[0][]): Account {
  const all: Account = { received: 0, stored: 0, refused: 0, shed: 0, even: true };
  for (const one of sources.map(account)) {
    all.received += one.received;
    all.stored += one.stored;
    all.refused += one.refused;
    all.shed += one.shed;
    all.even &&= one.even;
  }
  return all;
}
