// In which lane an event is played: what it tells about.
import type { Event } from '../api/model';

export const lanes = ['host', 'network', 'identity', 'cloud'] as const;
export type Lane = (typeof lanes)[number];

const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : value == null ? [] : [String(value)]);

export function laneOf(event: Event): Lane {
  const dataset = String(event['event.dataset'] ?? '');
  const module = String(event['event.module'] ?? '');
  if (/^(aws|azure|gcp|cloudtrail|o365|m365|microsoft_365|google_workspace|okta|github|kubernetes)\b/.test(dataset || module)) return 'cloud';
  const categories = list(event['event.category']);
  if (categories.some((it) => ['authentication', 'iam', 'session'].includes(it))) return 'identity';
  if (/\b(sshd|pam|sudo|su|login|keycloak|vault)$/.test(dataset)) return 'identity';
  if (categories.some((it) => ['network', 'web', 'intrusion_detection', 'email'].includes(it))) return 'network';
  if (/^(suricata|zeek|nginx|apache|haproxy|squid|bind|unbound|dnsmasq|fortinet|panw|cisco|pfsense|firewall)/.test(dataset)) return 'network';
  if (event['cloud.account.id'] !== undefined && event['host.name'] === undefined) return 'cloud';
  return 'host';
}
