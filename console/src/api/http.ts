// One way to ask the server: JSON in, JSON out, refusals as errors that carry the server's own words.

import type { Diagnostic, Model } from './model';

/** What the server said instead of an answer (RFC 9457), or that it did not answer at all (status 0). */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly hint?: string,
    readonly diagnostics: Diagnostic[] = [],
    readonly retryAfter?: number,
  ) {
    super(detail);
    this.name = 'Refusal';
  }

  /** True if this server has no such route: an older one, or one built without that part. */
  get notOffered(): boolean {
    return (this.status === 404 && this.message.startsWith('there is nothing at')) || this.status === 405;
  }
}

export const notOffered = (error: unknown): boolean => error instanceof Refusal && error.notOffered;

export async function refusal(response: Response): Promise<Refusal> {
  // Where a proxy answers, nothing of it is sure.
  let problem: Partial<Model<'Problem'>> = {};
  try {
    problem = (await response.json()) as Model<'Problem'>;
  } catch {
    // A proxy's page, or nothing: the status has to do.
  }
  const detail = problem.detail ?? problem.title ?? `the server answered ${response.status} ${response.statusText}`;
  return new Refusal(
    response.status,
    detail,
    problem.hint ?? undefined,
    problem.diagnostics,
    problem.retry_after ?? undefined,
  );
}

type Listener = () => void;
const signedOut = new Set<Listener>();

/** Calls back when the server no longer knows who we are. */
export function onSignedOut(listener: Listener): Listener {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

export async function request(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
  const init: RequestInit = { method, headers, credentials: 'same-origin' };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (signal) init.signal = signal;
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, 'the server does not answer', 'it may be restarting; this goes on by itself when it is back');
  }
  if (response.ok) return response;
  const failed = await refusal(response);
  if (failed.status === 401 && path !== '/session' && path !== '/password') signedOut.forEach((listener) => listener());
  throw failed;
}

export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await request(method, path, body, signal);
  return (await response.json()) as T;
}

/** `?a=1&b=2` of what is there. */
export function params(values: Record<string, string | number | undefined | null>): string {
  const found = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(found.map(([name, value]) => [name, String(value)])).toString();
  return text ? `?${text}` : '';
}
