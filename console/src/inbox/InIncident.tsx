import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { call } from '../api/http';
import type { Model } from '../api/model';
import { Icon } from '../shared/Icon';
import { t } from '../strings/en';

/** The incidents that have this alert, if any. */
export function InIncident({ alert }: { alert: number }) {
  const found = useQuery({
    queryKey: ['incidents', 'of alert', alert],
    queryFn: ({ signal }) => call<Model<'IncidentPage'>>('GET', `/incidents?alert=${alert}&limit=3`, undefined, signal),
  });
  return found.data?.incidents.map(({ id }) => (
    <Link key={id} className="chip" href={`/incidents/${id}`}>
      <Icon name="incident" size={14} /> {t.inbox.incident(id)}
    </Link>
  ));
}
