// Builds what the gateway serves under /static/client/: the client, and the libraries that pages may count on.

import { cp, mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const out = resolve(
  process.env.DATABENCH_CLIENT_OUT ?? join(root, "../services/gateway/databench_gateway/static/client"),
);
const marker = "databench.js";

/** From a package, to a name below vendor/. */
const VENDOR = [
  ["d3/dist/d3.min.js", "d3.v7.min.js"],
  ["d3/LICENSE", "d3.LICENSE"],
  ["jquery/dist/jquery.min.js", "jquery.min.js"],
  ["jquery/LICENSE.txt", "jquery.LICENSE"],
  ["@picocss/pico/css/pico.classless.min.css", "pico.classless.min.css"],
  ["@picocss/pico/LICENSE.md", "pico.LICENSE"],
  ["mathjax/LICENSE", "mathjax/LICENSE"],
  ["mathjax/es5/tex-chtml.js", "mathjax/tex-chtml.js"],
  ["mathjax/es5/output/chtml/fonts/woff-v2", "mathjax/output/chtml/fonts/woff-v2"],
  ["mathjax/es5/input/tex/extensions", "mathjax/input/tex/extensions"],
];

const common = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  sourcemap: true,
  target: "es2022",
  legalComments: "none",
  logLevel: "warning",
};

async function clear() {
  const present = await readdir(out).catch(() => []);
  if (present.length > 0 && !present.includes(marker)) {
    throw new Error(`${out} holds something else than a built client; it is not overwritten`);
  }
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
}

async function bundle(source, target, options) {
  await build({ ...common, ...options, entryPoints: [join("src", source)], outfile: join(out, target) });
}

await clear();
await bundle("global.ts", marker, { format: "iife" });
await bundle("index.ts", "databench.mjs", { format: "esm" });
await bundle("mpld3-d3.ts", "mpld3-d3.js", { format: "iife", sourcemap: false });
await bundle("databench.css", "databench.css", {
  sourcemap: false,
  target: ["chrome123", "firefox120", "safari17.5"],
});
for (const [from, to] of VENDOR) {
  await cp(join(root, "node_modules", from), join(out, "vendor", to), { recursive: true });
}
await cp(join(root, "node_modules/@msgpack/msgpack/LICENSE"), join(out, "vendor/msgpack.LICENSE"));
