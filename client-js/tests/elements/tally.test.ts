import { beforeEach, describe, expect, test } from "vitest";
import { endingOf, type Progress, progressOf, sentence, Tally } from "../../src/elements/tally.ts";

const job = (done: number, total: number | null, remaining: number | null = null, failed = 0): Progress => ({
  done,
  failed,
  total,
  remaining,
  over: false,
});
const over = (done: number, total: number | null, failed = 0): Progress => ({
  ...job(done, total, null, failed),
  over: true,
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
    expect(now({ a: over(100, 100), b: job(6, 20, 6) })).toEqual([true, job(106, 120)]);
    expect(now({ a: job(0, 50, null), b: job(7, 20, 5) })).toEqual([true, job(7, 70)]);
  });

  test.each([
    [{ a: over(1000, 1000, 3) }, over(1000, 1000, 3), "done"],
    [{ a: over(0, 0) }, over(0, 0), "done"],
    [{ a: over(420, 1000, 1) }, over(420, 1000, 1), "failed"],
    [{ a: over(420, 1000) }, over(420, 1000), "cancelled"],
    [{ a: over(420, null) }, over(420, null), "cancelled"],
    [{ a: over(10, 10), b: over(4, 20) }, over(14, 30), "cancelled"],
  ])("is as they ended when all are over: %o is %o, %s", (last, end, how) => {
    now({ a: job(1, 10), b: job(1, 20) });
    expect(now(last)).toEqual([false, end]);
    expect(now(last)).toEqual([false, end]);
    expect(endingOf(end)).toBe(how);
  });

  test("shows to a page that comes later how they ended", () => {
    expect(now({ a: over(4, 20) })).toEqual([false, over(4, 20)]);
  });

  test("has no sum any more when the session is another one", () => {
    now({ a: over(4, 20) });
    expect(now({})).toEqual([false, null]);
  });

  test("begins anew with the first job after the end", () => {
    now({ a: job(9, 10), b: job(1, 2) });
    now({ a: over(10, 10), b: over(1, 2) });
    expect(now({ a: over(10, 10), b: job(0, 5) })).toEqual([true, job(0, 5)]);
    expect(now({ a: over(10, 10), b: over(5, 5) })).toEqual([false, over(5, 5)]);
    expect(now({ a: over(10, 10), b: over(5, 5) })).toEqual([false, over(5, 5)]);
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
  [over(1000, 1000, 2), "1,000 of 1,000, 2 failed"],
  [over(420, 1000), "cancelled after 420 of 1,000"],
  [over(420, null), "cancelled after 420 done"],
  [over(420, 1000, 1), "ended after 420 of 1,000, 1 failed"],
])("%o reads: %s", (progress, text) => {
  expect(sentence(progress)).toBe(text);
});

test("what the session tells is taken as far as it is a number", () => {
  const told = { done: 2, running: 1, failed: 0, total: 5, rate: 1, remaining: null, elapsed: 2 };
  expect(progressOf(told)).toEqual(job(2, 5));
  expect(progressOf({ ...told, over: true })).toEqual(over(2, 5));
  for (const value of [
    null,
    7,
    "text",
    {},
    { done: "2", total: Number.NaN, remaining: [], failed: -1, over: 1 },
  ]) {
    expect(progressOf(value)).toEqual(job(0, null));
  }
});
