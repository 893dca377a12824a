import { Modal } from '@mantine/core';
import { modKey } from '../shared/Bits';
import { t } from '../strings/en';
import s from './palette.module.css';

export default function Keys({ onClose }: { onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title={t.keys.title} size={720} transitionProps={{ duration: 0 }}>
      <div className={s.sheet}>
        {t.keys.groups.map((group) => (
          <section key={group.name}>
            <h3>{group.name}</h3>
            <dl>
              {group.keys.map(([keys, what]) => (
                <div key={what} style={{ display: 'contents' }}>
                  <dt>
                    {keys.split(' ').map((key, i) => (
                      <kbd key={i}>{key === 'mod' ? modKey : key}</kbd>
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}
