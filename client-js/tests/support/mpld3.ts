// Runs mpld3 and its d3 as the page does, from the Python package where it is installed.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { runInThisContext } from "node:vm";

function folder(): string | null {
  const lib = resolve(import.meta.dirname, "../../../.venv/lib");
  if (!existsSync(lib)) return null;
  const folders = readdirSync(lib).map((python) => `${lib}/${python}/site-packages/mpld3/js`);
  return folders.find(existsSync) ?? null;
}

export const MPLD3 = folder();

/** Runs classic scripts in this global scope. */
export function runScripts(...paths: string[]): void {
  for (const path of paths) runInThisContext(readFileSync(path, "utf8"), { filename: path });
}

export function mpld3Scripts(): string[] {
  const files = readdirSync(MPLD3 ?? "");
  return [/^d3\.v5\.min\.js$/, /^mpld3\..*min\.js$/].map((wanted) => {
    const file = files.find((name) => wanted.test(name));
    if (!file) throw new Error(`mpld3 has no ${wanted}`);
    return `${MPLD3}/${file}`;
  });
}
