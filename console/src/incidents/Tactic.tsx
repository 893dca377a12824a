import { visible } from '../shared/format';
import s from './incidents.module.css';

/** An ATT&CK tactic, in words. */
export const Tactic = ({ name }: { name: string }) => <span className={s.tactic}>{visible(name.replaceAll('-', ' '))}</span>;
