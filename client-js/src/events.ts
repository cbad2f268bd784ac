// Handlers by name, called in order. A handler that throws is reported and stops nobody else.

export type Off = () => void;

export function report(what: string, error: unknown): void {
  console.error(`Databench: ${what}`, error);
}

export class Handlers<Args extends unknown[]> {
  readonly #byName = new Map<string, ((...args: Args) => void)[]>();

  add(name: string, handler: (...args: Args) => void): Off {
    if (typeof handler !== "function") throw new TypeError(`the handler of "${name}" is not a function`);
    this.#byName.set(name, [...(this.#byName.get(name) ?? []), handler]);
    let added = true;
    return () => {
      if (added) this.remove(name, handler);
      added = false;
    };
  }

  /** Removes one handler, or all handlers of the name. */
  remove(name: string, handler?: (...args: Args) => void): void {
    const handlers = this.#byName.get(name) ?? [];
    const at = handler ? handlers.indexOf(handler) : -1;
    const rest = handler ? handlers.filter((_, index) => index !== at) : [];
    if (rest.length > 0) this.#byName.set(name, rest);
    else this.#byName.delete(name);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  call(name: string, ...args: Args): void {
    for (const handler of this.#byName.get(name) ?? []) attempt(name, handler, args);
  }

  /** Calls one handler of the name, unless it was removed meanwhile. */
  callOne(handler: (...args: Args) => void, name: string, ...args: Args): void {
    if (this.#byName.get(name)?.includes(handler)) attempt(name, handler, args);
  }

  clear(): void {
    this.#byName.clear();
  }
}

function attempt<Args extends unknown[]>(name: string, handler: (...args: Args) => void, args: Args): void {
  try {
    handler(...args);
  } catch (error) {
    report(`a handler of "${name}" failed:`, error);
  }
}
