// Indicators of compromise: what is known of a value, and how the feeds are doing.
import { useIndicators } from '../api/indicators';
import { Empty, Waiting } from '../shared/Bits';
import { formatBytes, formatCount } from '../shared/format';
import { Problem } from '../shared/Problem';
import { t } from '../strings/en';
import { Feeds } from './Feeds';
import { LookUp } from './LookUp';
import { Servers } from './Servers';
import s from './indicators.module.css';

export default function Indicators() {
  const found = useIndicators();
  const known = found.data;
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t.nav.indicators}</h1>
        <span className="grow" />
        {known && (
          <span className="dim" role="status">
            {t.indicators.held(known.indicators)}, {t.indicators.values(known.values)}, {formatBytes(known.bytes)}
            {known.left_out > 0 && <span className={s.bad}>, {t.indicators.leftOut(formatCount(known.left_out))}</span>}
          </span>
        )}
      </div>
      <div className="page-body">
        {found.isPending && <Waiting what={t.indicators.loading} />}
        {found.isError && <Problem error={found.error} what={t.indicators.what} retry={() => void found.refetch()} />}
        {known && (
          <div className="stack">
            <LookUp />
            {known.servers.length > 0 && <Servers servers={known.servers} />}
            {known.feeds.length > 0 && <Feeds feeds={known.feeds} />}
            {known.feeds.length + known.servers.length === 0 && (
              <Empty title={t.indicators.none}>
                <p>{t.indicators.noneLead}</p>
              </Empty>
            )}
          </div>
        )}
      </div>
    </div>
  );
}
