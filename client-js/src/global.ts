// The classic script: `var databench = Databench('pi')`. Must run while its own <script> element is current.

import { Databench, type Options } from "./databench.ts";

const script = document.currentScript instanceof HTMLScriptElement ? document.currentScript.src : null;

function create(name: string, options?: Options): Databench {
  return new Databench(name, options, script);
}

Object.assign(globalThis, { Databench: create });
