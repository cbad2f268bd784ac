// Jobs as one: how far they are together, those that are over among them, and that as a sentence for people.
// Knows nothing of elements, nor where the numbers come from.

import { formatted } from "./text.ts";

export interface Progress {
  readonly done: number;
  readonly failed: number;
  /** In items; null where nobody knows how many come. */
  readonly total: number | null;
  /** In seconds; null while there is nothing to tell it from. */
  readonly remaining: number | null;
  /** Whether it has ended, however. */
  readonly over: boolean;
}

/** How jobs ended: some of them are not all done, and it was a failure that ended them, or they were cancelled. */
export type Ending = "done" | "failed" | "cancelled";

export function endingOf({ done, failed, total }: Progress): Ending {
  if (done === total) return "done";
  return failed > 0 ? "failed" : "cancelled";
}

/** Up to here in the smaller unit: "90 min" says more than "2 h". */
const IN_ONE_UNIT = 100;

export class Tally {
  #jobs: ReadonlyMap<string, Progress> = new Map();
  #atWork = false;

  /** Whether any job is not over. */
  get atWork(): boolean {
    return this.#atWork;
  }

  /** Takes all jobs that are known. One that is over stays in the sum while others are at work. */
  update(known: ReadonlyMap<string, Progress>): void {
    const atWork = [...known.values()].some((job) => !job.over);
    const begins = atWork && !this.#atWork;
    // Those that were over before the first of these began are no part of the sum.
    const counts = (name: string, job: Progress) => !job.over || (!begins && this.#jobs.has(name));
    const jobs = [...known].filter(([name, job]) => counts(name, job));
    this.#jobs = new Map(jobs.length > 0 ? jobs : known);
    this.#atWork = atWork;
  }

  /** How far all of them are, or how they ended when none is at work; null when there never was one. */
  sum(): Progress | null {
    const jobs = [...this.#jobs.values()];
    return jobs.length === 0 ? null : jobs.reduce(together);
  }
}

function together(one: Progress, other: Progress): Progress {
  return {
    done: one.done + other.done,
    failed: one.failed + other.failed,
    total: one.total === null || other.total === null ? null : one.total + other.total,
    // They run beside each other.
    remaining:
      one.remaining === null || other.remaining === null ? null : Math.max(one.remaining, other.remaining),
    over: one.over && other.over,
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
    over: told["over"] === true,
  };
}

/** "420 of 1,000, 2 failed, about 12 s left", or "cancelled after 420 of 1,000", as far as it is known. */
export function sentence(progress: Progress): string {
  const { done, failed, total, remaining, over } = progress;
  const parts = [total === null ? `${count(done)} done` : `${count(done)} of ${count(total)}`];
  if (failed > 0) parts.push(`${count(failed)} failed`);
  if (over) return BEFORE[endingOf(progress)] + parts.join(", ");
  if (remaining !== null) parts.push(`about ${duration(remaining)} left`);
  return parts.join(", ");
}

const BEFORE: Record<Ending, string> = { done: "", failed: "ended after ", cancelled: "cancelled after " };

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
