// What tests of elements need of a page.

/** Waits until everything that was asked for in this animation frame was drawn. */
export function nextFrame(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => resolve()));
}

export function setReadyState(state: DocumentReadyState | null): void {
  if (state === null) Reflect.deleteProperty(document, "readyState");
  else Object.defineProperty(document, "readyState", { value: state, configurable: true });
}
