import { beforeEach, describe, expect, test } from "vitest";
import { type Progress, progressOf, sentence, Tally } from "../../src/elements/tally.ts";

const job = (done: number, total: number | null, remaining: number | null = null, failed = 0): Progress => ({
  done,
  failed,
  total,
  remaining,
});

describe("a tally", () => {
  let tally: Tally;
  beforeEach(() => {
    tally = new Tally();
  });
  const now = (jobs: Record<string, Progress>) => {
    tally.update(new Map(Object.entries(jobs)));
    return [tally.atWork, tally.sum()];
  };

  test("has no sum before there was a job", () => {
    expect(now({})).toEqual([false, null]);
  });

  test("adds up what is at work, and takes as long as the longest", () => {
    expect(now({ a: job(1, 10, 3, 1), b: job(5, 20, 7) })).toEqual([true, job(6, 30, 7, 1)]);
  });

  test("does not know what it does not know of one of them", () => {
    expect(now({ a: job(1, 10, 3), b: job(5, null) })).toEqual([true, job(6, null)]);
  });

  test("never goes back when one is over and another is not", () => {
    now({ a: job(90, 100, 1), b: job(5, 20, 7) });
    expect(now({ b: job(6, 20, 6) })).toEqual([true, job(106, 120, 6)]);
    expect(now({ a: job(0, 50, null), b: job(7, 20, 5) })).toEqual([true, job(7, 70)]);
  });

  test.each([
    [job(420, 1000, 12, 3), job(1000, 1000, 0, 3)],
    [job(420, null), job(420, 420, 0)],
    [job(0, 0), job(0, 0, 0)],
  ])("is at its end when all are over: %o is %o", (last, end) => {
    now({ a: last });
    expect(now({})).toEqual([false, end]);
    expect(now({})).toEqual([false, end]);
  });

  test("begins anew with the first job after the end", () => {
    now({ a: job(9, 10), b: job(1, 2) });
    now({});
    expect(now({ b: job(0, 5) })).toEqual([true, job(0, 5)]);
  });
});

test.each([
  [job(420, 1000, 12), "420 of 1,000, about 12 s left"],
  [job(420, 1000), "420 of 1,000"],
  [job(1234, null), "1,234 done"],
  [job(420, 1000, 0.2, 3), "420 of 1,000, 3 failed, about 1 s left"],
  [job(1, 2, 99.4), "1 of 2, about 99 s left"],
  [job(1, 2, 100), "1 of 2, about 2 min left"],
  [job(1, 2, 90 * 60), "1 of 2, about 90 min left"],
  [job(1, 2, 5 * 3600 + 60), "1 of 2, about 5 h left"],
])("%o reads: %s", (progress, text) => {
  expect(sentence(progress)).toBe(text);
});

test("what the session tells is taken as far as it is a number", () => {
  const told = { done: 2, running: 1, failed: 0, total: 5, rate: 1, remaining: null, elapsed: 2 };
  expect(progressOf(told)).toEqual(job(2, 5));
  for (const value of [null, 7, "text", {}, { done: "2", total: Number.NaN, remaining: [], failed: -1 }]) {
    expect(progressOf(value)).toEqual(job(0, null));
  }
});
