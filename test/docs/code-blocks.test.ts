import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { expect, test } from "vitest";
import { tempDatabase } from "../support/temp.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const tsc = `${root}node_modules/typescript/bin/tsc`;
const pages = [
  "README.md",
  ...(readdirSync(`${root}docs`, { recursive: true }) as string[])
    .filter((name) => name.endsWith(".md"))
    .sort()
    .map((name) => `docs/${name}`),
];

/** The programs of a page. A block marked `ts fragment` does not run alone. */
function programs(page: string): string[] {
  return [...readFileSync(root + page, "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
}

const blocks = pages.flatMap((page) => programs(page).map((code, index) => ({ page, index: index + 1, code })));

test("the pages have programs", () => {
  expect(pages.length).toBeGreaterThan(15);
  expect(blocks.length).toBeGreaterThan(20);
});

test("every block of TypeScript runs, or is marked as a fragment", () => {
  const unknown = /^ *```(?!(?:ts|ts fragment|sh|text|json|sql|diff|mermaid)?$)\S.*$/gm;
  expect(pages.filter((page) => unknown.test(readFileSync(root + page, "utf8")))).toEqual([]);
});

const COMMON_JS = `import { openStorage } from "holdfast";
export async function notes() {
  const notes = (await openStorage(":memory:")).memories.withMetadata<{ file: string }>();
  (await notes.require("a")).metadata.file satisfies string;
  // @ts-expect-error
  await notes.insert({ content: "b", metadata: { path: "c" } });
}
`;

// Against the declarations that the package ships, as an application would.
test("every block of TypeScript compiles, in ES modules, CommonJS and for bundlers", async () => {
  const folder = `${root}dist/types-of-pages-${process.pid}`;
  mkdirSync(folder, { recursive: true });
  try {
    for (const { page, index, code } of blocks) {
      writeFileSync(`${folder}/${page.replace(/[/.]/g, "-")}-${index}.mts`, `${code}\nexport {};\n`);
    }
    writeFileSync(`${folder}/common.cts`, COMMON_JS);
    const options = {
      target: "es2023",
      lib: ["es2023", "esnext.disposable"],
      types: ["node"],
      strict: true,
      skipLibCheck: true,
      noEmit: true,
    };
    for (const module of [{ module: "nodenext" }, { module: "preserve", moduleResolution: "bundler" }]) {
      const config = `${folder}/tsconfig.${module.module}.json`;
      writeFileSync(
        config,
        JSON.stringify({ compilerOptions: { ...options, ...module }, include: ["*.mts", "*.cts"] }),
      );
      const { stdout } = await promisify(execFile)(process.execPath, [tsc, "-p", config]).catch((error) => error);
      expect(stdout).toBe("");
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

// Several at a time, because a program spends most of its time starting.
test.concurrent.for(blocks)(
  "$page: the TypeScript block $index runs",
  { timeout: 60_000 },
  async ({ page, index, code }) => {
    await using db = await tempDatabase();
    // Inside the package, so that it can import the package by name, as if it were installed.
    const folder = `${root}dist/pages`;
    mkdirSync(folder, { recursive: true });
    const file = `${folder}/${page.replace(/[/.]/g, "-")}-${index}-${process.pid}.mjs`;
    writeFileSync(file, (await transform(code, { loader: "ts", format: "esm", target: "node20" })).code);
    try {
      const { stderr } = await promisify(execFile)(process.execPath, [file], { cwd: db.dir });
      expect(stderr).toBe("");
    } finally {
      rmSync(file);
    }
  },
);
