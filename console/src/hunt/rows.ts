// The rows of an answer. They are kept as the JSON text they came as; only what is on the screen is parsed.
import type { Event } from '../api/model';

const KEPT = 1000;

/** So many rows as had come when it was made: a value like any other, although later ones share the text with it. */
export class Rows {
  private constructor(
    private readonly lines: string[],
    private readonly parsed: Map<number, Event>,
    readonly length: number,
  ) {}

  /** A place for the rows of a new answer. */
  static begin(): Rows {
    return new Rows([], new Map(), 0);
  }

  /** These rows and more. Only the newest value may be added to. */
  with(lines: string[]): Rows {
    // Not spread: an argument list has a limit, an answer has none.
    for (const line of lines) this.lines.push(line);
    return new Rows(this.lines, this.parsed, this.lines.length);
  }

  at(index: number): Event | undefined {
    const line = index < this.length ? this.lines[index] : undefined;
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
    for (let i = 0; i < this.length; i++) if (this.lines[i]!.includes(needle)) return i;
    return -1;
  }
}
