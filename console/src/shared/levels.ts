import type { Level } from '../api/model';

/** Worst first. */
export const levels: Level[] = ['critical', 'high', 'medium', 'low', 'informational'];

/** 0 informational … 4 critical. */
export const rank = (level: string): number => Math.max(0, 4 - levels.indexOf(level as Level));
