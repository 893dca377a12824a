// The rows of an answer. They are kept as the JSON text they came as; only what is on the screen is parsed.
import type { Event } from '../api/model';

const KEPT = 1000;

export class Rows {
  private lines: string[] = [];
  private parsed = new Map<number, Event>();

  get length(): number {
    return this.lines.length;
  }

  add(lines: string[]): void {
    // Not spread: an argument list has a limit, an answer has none.
    for (const line of lines) this.lines.push(line);
  }

  at(index: number): Event | undefined {
    const line = this.lines[index];
    if (line === undefined) return undefined;
    let row = this.parsed.get(index);
    if (!row) {
      row = JSON.parse(line) as Event;
      if (this.parsed.size >= KEPT) this.parsed.clear();
      this.parsed.set(index, row);
    }
    return row;
  }

  /** Every so-manieth row, at most `most`. */
  sample(most: number): Event[] {
    const step = Math.max(1, Math.ceil(this.length / most));
    const found: Event[] = [];
    for (let i = 0; i < this.length; i += step) found.push(this.at(i)!);
    return found;
  }

  find(id: string): number {
    const needle = `"event.id":${JSON.stringify(id)}`;
    return this.lines.findIndex((line) => line.includes(needle));
  }
}
