import type { Incident } from '../api/model';
import { visible } from '../shared/format';
import { t } from '../strings/en';

/** An incident's name: its number, and whose points opened it. */
export const nameOf = (incident: Incident): string => t.incidents.title(incident.id, visible(incident.entity.value));
