// Many changes, one drawing: what is asked for several times within an animation frame happens once.

/** Returns a function that runs `action` once before the browser paints next. */
export function oncePerFrame(action: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      action();
    });
  };
}
