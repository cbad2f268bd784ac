// Jobs as one: how far they are together, those that are over among them, and that as a sentence for people.
// Knows nothing of elements, nor where the numbers come from. Why a job is over nobody says: it counts as done.

import { formatted } from "./text.ts";

export interface Progress {
  readonly done: number;
  readonly failed: number;
  /** In items; null where nobody knows how many come. */
  readonly total: number | null;
  /** In seconds; null while there is nothing to tell it from. */
  readonly remaining: number | null;
}

/** Up to here in the smaller unit: "90 min" says more than "2 h". */
const IN_ONE_UNIT = 100;

export class Tally {
  readonly #jobs = new Map<string, Progress>();
  #atWork = false;

  /** Whether any job is not over. */
  get atWork(): boolean {
    return this.#atWork;
  }

  /** Takes the jobs that are at work now. One that is over stays in the sum while others are at work. */
  update(present: ReadonlyMap<string, Progress>): void {
    if (!this.#atWork && present.size > 0) this.#jobs.clear();
    for (const [name, job] of this.#jobs) if (!present.has(name)) this.#jobs.set(name, finished(job));
    for (const [name, job] of present) this.#jobs.set(name, job);
    this.#atWork = present.size > 0;
  }

  /** How far all of them are, at their end when none is at work; null when there never was one. */
  sum(): Progress | null {
    const jobs = [...this.#jobs.values()];
    return jobs.length === 0 ? null : jobs.reduce(together);
  }
}

function finished({ done, failed, total }: Progress): Progress {
  const all = total ?? done;
  return { done: all, failed, total: all, remaining: 0 };
}

function together(one: Progress, other: Progress): Progress {
  return {
    done: one.done + other.done,
    failed: one.failed + other.failed,
    total: one.total === null || other.total === null ? null : one.total + other.total,
    // They run beside each other.
    remaining:
      one.remaining === null || other.remaining === null ? null : Math.max(one.remaining, other.remaining),
  };
}

/** Reads what the session tells of a job; what is no number is not known. */
export function progressOf(value: unknown): Progress {
  const told = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const number = (key: string) =>
    typeof told[key] === "number" && Number.isFinite(told[key]) ? Math.max(0, told[key]) : null;
  return {
    done: number("done") ?? 0,
    failed: number("failed") ?? 0,
    total: number("total"),
    remaining: number("remaining"),
  };
}

/** "420 of 1,000, 2 failed, about 12 s left", as far as it is known. */
export function sentence({ done, failed, total, remaining }: Progress): string {
  const parts = [total === null ? `${count(done)} done` : `${count(done)} of ${count(total)}`];
  if (failed > 0) parts.push(`${count(failed)} failed`);
  if (remaining !== null) parts.push(`about ${duration(remaining)} left`);
  return parts.join(", ");
}

function count(items: number): string {
  return formatted(items, ",d");
}

function duration(seconds: number): string {
  // Nothing that is still at work has no time left.
  const whole = Math.max(1, Math.round(seconds));
  if (whole < IN_ONE_UNIT) return `${whole} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < IN_ONE_UNIT ? `${minutes} min` : `${count(seconds / 3600)} h`;
}
