import type { IconName } from '../shared/Icon';

export interface Command {
  group: string;
  name: string;
  icon: IconName;
  keys?: string;
  to?: string;
  run?: () => void;
}

/** How well a name fits what was typed: the lower the better; nothing if it does not. Letters in order suffice, words'
 * beginnings fit best. */
export function fit(name: string, typed: string): number | undefined {
  const hay = name.toLowerCase();
  const needle = typed.toLowerCase();
  const at = hay.indexOf(needle);
  if (at === 0) return 0;
  if (at > 0) return /[\s,.:/-]/.test(hay[at - 1]!) ? 1 : 2;
  let from = 0;
  let gaps = 0;
  for (const letter of needle.replaceAll(' ', '')) {
    const next = hay.indexOf(letter, from);
    if (next < 0) return undefined;
    gaps += next - from;
    from = next + 1;
  }
  return gaps <= needle.length * 3 ? 3 + gaps / 100 : undefined;
}

const MOST = 12;

/** The commands that fit, group by group, the best first within each. */
export function rankCommands(commands: Command[], typed: string): Command[] {
  if (!typed) {
    const taken = new Map<string, number>();
    return commands.filter((command) => {
      const n = (taken.get(command.group) ?? 0) + 1;
      taken.set(command.group, n);
      return n <= MOST;
    });
  }
  const groups = [...new Set(commands.map((command) => command.group))];
  return groups.flatMap((group) =>
    commands
      .filter((command) => command.group === group)
      .map((command) => ({ command, score: fit(command.name, typed) }))
      .filter((it): it is { command: Command; score: number } => it.score !== undefined)
      .sort((a, b) => a.score - b.score)
      .slice(0, MOST)
      .map((it) => it.command),
  );
}
