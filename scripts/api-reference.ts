// Writes the pages of docs/reference/api, from the declarations of the build and their doc comments.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { anchorOf, inOrder, type Page, renderPage } from "./api/page.js";
import { type Declaration, type Member, readEntries } from "./api/read-entries.js";

const REJECTIONS =
  "Wrong arguments reject with TypeError or RangeError before any work starts. Every call can reject with a code of the database, such as `BUSY`, `FULL` or `CLOSED` ([errors](../errors.md)); the descriptions name the other codes.";

const FOLDER = fileURLToPath(new URL("../docs/reference/api/", import.meta.url));

/** The longest of the sources that a file begins with decides. */
const PAGES: readonly Page[] = [
  {
    file: "storage.md",
    title: "Storage, projects and transactions",
    about:
      "`openStorage` and its options, `Storage`, `Project`, transactions, change events, `health()`, and the types that all repositories share.",
    sources: ["storage/", "shared/", "areas/"],
  },
  {
    file: "memories.md",
    title: "Memories",
    about: `The repository \`storage.memories\`, also \`memories\` of a project and of a transaction. ${REJECTIONS}`,
    sources: ["areas/memories/"],
  },
  {
    file: "sessions.md",
    title: "Sessions",
    about: `The repository \`storage.sessions\`, also \`sessions\` of a project and of a transaction. ${REJECTIONS}`,
    sources: ["areas/sessions/"],
  },
  {
    file: "conversations.md",
    title: "Conversations",
    about: `The repository \`storage.conversations\`, also \`conversations\` of a project and of a transaction, and the functions of \`holdfast/conversations\`. ${REJECTIONS}`,
    sources: ["areas/conversations/"],
  },
  {
    file: "graph.md",
    title: "Graphs",
    about: `The repository \`storage.graph\`, also \`graph\` of a project and of a transaction. ${REJECTIONS}`,
    sources: ["areas/graph/", "areas/json-condition"],
  },
  {
    file: "stories.md",
    title: "Stories",
    about: `\`storage.stories\`, also \`stories\` of a project and of a transaction, and the entries \`holdfast/stories\` and \`holdfast/stories/testing\`: backends, \`Autosave\`, migrations of stories, and the tests of a backend. ${REJECTIONS}`,
    sources: ["areas/stories/", "storage/open-stories"],
  },
  {
    file: "maintenance.md",
    title: "Maintenance",
    about:
      "Functions for a file that is not open, and the options and results of the maintenance calls of [`Storage`](storage.md#storage).",
    sources: ["maintenance/"],
  },
  {
    file: "client.md",
    title: "Client",
    about:
      "The entry `holdfast/client`. It also exports everything that `@libsql/client` exports, so it can replace that package in an import.",
    sources: ["client/"],
  },
  {
    file: "migrate.md",
    title: "Migrations",
    about: "The entry `holdfast/migrate`. A client is one of `holdfast/client` or of `@libsql/client`.",
    sources: ["migrate/"],
  },
  {
    file: "memvid.md",
    title: "Memvid",
    about:
      "The entry `holdfast/memvid`: the calls of `@memvid/sdk` on a Holdfast file, and a store of entries that never throws. The names and shapes are those of `@memvid/sdk`. Its other exports exist, but reject with `NOT_SUPPORTED`.",
    sources: ["memvid/"],
  },
  {
    file: "otel.md",
    title: "OpenTelemetry",
    about: "The entry `holdfast/otel`. The [guide](../../operations/diagnostics.md) lists the spans and metrics.",
    sources: ["otel/"],
  },
  {
    file: "lock.md",
    title: "File lock",
    about: "The entry `holdfast/lock`: a lock on a file that several programs respect, also from `holdfast/memvid`.",
    sources: ["files/lock/"],
  },
];

/** The names of @memvid/sdk that only exist to reject. The page of the guide lists them. */
const isUnsupported = ({ file }: Declaration) => file === "memvid/unsupported" || file === "memvid/sdk";

/** The pages, by their path, with the text that they should have. */
export function apiReference(declarations: readonly Declaration[]): { readonly path: string; readonly text: string }[] {
  const byPage = new Map<Page, Declaration[]>(PAGES.map((page) => [page, []]));
  for (const declaration of declarations.filter((each) => !isUnsupported(each))) {
    byPage.get(pageOf(declaration))!.push(declaration);
  }
  const locate = (name: string, from: Page): string | undefined => {
    const page = [from, ...PAGES].find((each) => byPage.get(each)!.some((declaration) => declaration.name === name));
    if (page === undefined) return undefined;
    return `${page === from ? "" : page.file}#${anchorOf(name)}`;
  };
  const pages = [...byPage].map(([page, own]) => ({
    path: `${FOLDER}${page.file}`,
    text: renderPage(page, own, locate),
  }));
  return [{ path: `${FOLDER}README.md`, text: contents(byPage) }, ...pages];
}

/**
 * Exports, methods and options without a doc comment. Those whose names and shapes are of @memvid/sdk are left out, and
 * members that another package declares.
 */
export function withoutComment(declarations: readonly Declaration[]): string[] {
  const own = declarations.filter((each) => !isUnsupported(each) && each.file !== "memvid/memvid-types");
  return own.flatMap(({ name, file, kind, comment, members }) => {
    const needsComment = ({ isMethod, isOptional }: Member) =>
      isMethod || isOptional || kind === "class" || name.endsWith("Options");
    const gaps = members
      .filter((member) => needsComment(member) && !member.isForeign && member.comment.text === "")
      .map((member) => `src/${file}.ts: ${name}.${member.name}`);
    return comment.text === "" ? [`src/${file}.ts: ${name}`, ...gaps] : gaps;
  });
}

function pageOf({ file }: Declaration): Page {
  const lengthIn = ({ sources }: Page) =>
    Math.max(...sources.map((source) => (file.startsWith(source) ? source.length : 0)));
  const best = PAGES.toSorted((a, b) => lengthIn(b) - lengthIn(a))[0]!;
  if (lengthIn(best) === 0) throw new Error(`Add the page of src/${file}.ts to scripts/api-reference.ts`);
  return best;
}

function contents(byPage: ReadonlyMap<Page, readonly Declaration[]>): string {
  const sections = [...byPage].map(([page, own]) => {
    const names = inOrder(own).map(({ name }) => `[\`${name}\`](${page.file}#${anchorOf(name)})`);
    return `## ${page.title}\n\n[${page.file}](${page.file}): ${page.about}\n\n${names.join(" · ")}\n`;
  });
  const about =
    "Everything that the entries of the package export, written from the doc comments by `npm run docs:api`. The tables of `holdfast/schema` are in [schema.md](../schema.md), and all codes of errors in [errors.md](../errors.md).";
  return `# API\n\n${about}\n\n${sections.join("\n")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(FOLDER, { recursive: true, force: true });
  for (const { path, text } of apiReference(readEntries())) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
