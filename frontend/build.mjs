// Bundle the scripts of the pages into static/built/, with a digest of the sources and the licences.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const BUILT = join(HERE, "..", "static", "built");
const ENTRIES = ["rule_builder", "rule_field"];

// The guard in tests/guards/test_frontend.py computes the same digest.
function sourceDigest() {
  const files = [
    "build.mjs",
    "package-lock.json",
    "package.json",
    ...readdirSync(join(HERE, "src")).map((name) => `src/${name}`),
  ];
  const digest = createHash("sha256");
  for (const name of files.sort()) {
    digest.update(`${name}\n`);
    digest.update(readFileSync(join(HERE, name)));
  }
  return digest.digest("hex");
}

function packageOf(input) {
  return /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(input)?.[1];
}

function licenceText(name) {
  const folder = join(HERE, "node_modules", name);
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  return file ? readFileSync(join(folder, file), "utf8").trim() : "";
}

function licences(inputs) {
  const names = [...new Set(Object.keys(inputs).map(packageOf).filter(Boolean))].sort();
  return names.map((name) => {
    const path = join(HERE, "node_modules", name, "package.json");
    if (!existsSync(path)) throw new Error(`${name} is bundled, but is no package`);
    const { version, license } = JSON.parse(readFileSync(path, "utf8"));
    return { name, version, license, text: licenceText(name) };
  });
}

const result = await build({
  absWorkingDir: HERE,
  bundle: true,
  define: { "process.env.NODE_ENV": '"production"' },
  entryNames: "[name]",
  entryPoints: ENTRIES.map((name) => `src/${name}.jsx`),
  format: "esm",
  jsx: "automatic",
  // Licence texts go into a file of their own.
  legalComments: "none",
  logLevel: "warning",
  metafile: true,
  minify: true,
  outdir: BUILT,
  target: ["es2022"],
});
const found = licences(result.metafile.inputs);
mkdirSync(BUILT, { recursive: true });
writeFileSync(
  join(BUILT, "LICENCES.txt"),
  found.map((each) => `${each.name} ${each.version} (${each.license})\n\n${each.text}\n`).join("\n\n"),
);
const packages = found.map(({ name, version, license }) => ({ name, version, license }));
// Last: a page offers the bundle only if this file is there.
writeFileSync(
  join(BUILT, "built.json"),
  `${JSON.stringify({ sources: sourceDigest(), packages }, null, 2)}\n`,
);
