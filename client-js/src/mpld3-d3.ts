// mpld3 needs d3 version 5 and reads it from the global `d3` whenever it runs; pages want version 7 there.
// Loaded between the two: while mpld3 draws, and while version 5 calls a handler, the global is version 5.

interface OwnD3 {
  event: unknown;
}
interface Mpld3 {
  d3?: OwnD3;
  draw_figure: (...args: unknown[]) => unknown;
}

const page = globalThis as { d3?: unknown; mpld3?: Mpld3 };

function separate(mpld3: Mpld3, own: OwnD3): void {
  let others: unknown;
  let depth = 0;
  let event: unknown = own.event;

  function enter(): void {
    if (depth === 0) others = page.d3;
    depth += 1;
    page.d3 = own;
  }
  function leave(): void {
    depth -= 1;
    if (depth === 0) page.d3 = others;
  }

  // d3 version 5 sets its `event` when it begins to call a handler, and sets it back when it is done.
  Object.defineProperty(own, "event", {
    enumerable: true,
    get: () => event,
    set: (next: unknown) => {
      const inside = event !== null;
      event = next;
      if (!inside && next !== null) enter();
      else if (inside && next === null) leave();
    },
  });

  const draw = mpld3.draw_figure;
  mpld3.draw_figure = (...args) => {
    enter();
    try {
      return draw(...args);
    } finally {
      leave();
    }
  };

  mpld3.d3 = own;
  // The next d3 would otherwise be poured into this one.
  page.d3 = undefined;
}

if (page.mpld3 && page.d3 && !page.mpld3.d3) separate(page.mpld3, page.d3 as OwnD3);

export {};
