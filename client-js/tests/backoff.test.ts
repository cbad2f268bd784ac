import { expect, test } from "vitest";
import { Backoff } from "../src/backoff.ts";

test("waits double up to five seconds, and chance takes at most half of them away", () => {
  const [longest, shortest] = [new Backoff(), new Backoff()];
  const waits = (backoff: Backoff, chance: number) =>
    Array.from({ length: 8 }, () => backoff.next(false, chance));
  expect(waits(longest, 1)).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  expect(waits(shortest, 0)).toEqual([50, 100, 200, 400, 800, 1_600, 2_500, 2_500]);
});

test("at once is granted three times, and again after progress", () => {
  const backoff = new Backoff();
  const ask = () => backoff.next(true, 1);
  expect([ask(), ask(), ask(), ask(), ask()]).toEqual([0, 0, 0, 100, 200]);
  backoff.progress();
  expect([ask(), ask()]).toEqual([0, 0]);
});
