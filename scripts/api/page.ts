import type { Declaration, Member } from "./read-entries.js";
import { wrapSignature } from "./signature.js";

/** One page of the reference, and the folders and files of `src` whose declarations it shows. */
export interface Page {
  readonly file: string;
  readonly title: string;
  readonly about: string;
  readonly sources: readonly string[];
}

/** Finds the page and the anchor of a type; undefined if the reference does not have it. */
export type Locate = (name: string, from: Page) => string | undefined;

const ORDER = ["function", "class", "interface", "other"];

export function renderPage(page: Page, declarations: readonly Declaration[], locate: Locate): string {
  const sorted = inOrder(declarations);
  const sections = sorted.map((declaration) => renderDeclaration(page, declaration, locate));
  const contents = sorted.map(({ name }) => `[\`${name}\`](#${anchorOf(name)})`).join(" · ");
  const head = `# ${page.title}\n\n${page.about}\n\n${contents}\n`;
  return `${[head, ...sections].join("\n")}`;
}

/** Functions first, then classes, then types; each in the order of their names. */
export function inOrder(declarations: readonly Declaration[]): Declaration[] {
  const keyOf = ({ kind, name }: Declaration) => `${ORDER.indexOf(kind)} ${name.toLowerCase()}`;
  return declarations.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

export function anchorOf(name: string): string {
  return name.toLowerCase();
}

function renderDeclaration(page: Page, declaration: Declaration, locate: Locate): string {
  const { name, entries, kind, signatures, comment, members } = declaration;
  const isObject = kind === "class" || kind === "interface";
  const from = `From ${entries.map((entry) => `\`${entry}\``).join(", ")}.`;
  // Another section, or another package, describes these.
  const isElsewhere = ({ inheritedFrom, isForeign }: Member) =>
    isForeign || (inheritedFrom !== undefined && locate(inheritedFrom, page) !== undefined);
  const properties = members.filter((member) => !member.isMethod && !(kind === "class" && isElsewhere(member)));
  const methods = members.filter((member) => member.isMethod && !isElsewhere(member));
  const bases = new Set(
    members
      .filter((member) => isElsewhere(member) && (member.isMethod || kind === "class"))
      .map((member) => baseOf(member, page, locate)),
  );
  const needsSignature = !isObject || /<| extends /.test(signatures[0]!);
  const parts = [
    `## ${name}`,
    describe(comment.text, locate, page),
    needsSignature ? fence(signatures) : "",
    isObject ? "" : typesLine(signatures, name, page, locate),
    ...comment.examples.map((example) => fence([example])),
    from,
    properties.length === 0 ? "" : propertyTable(properties, page, locate),
    bases.size === 0
      ? ""
      : `It also has the ${kind === "class" ? "members" : "methods"} of ${[...bases].join(" and ")}.`,
    ...methods.map((method) => renderMethod(method, name, page, locate)),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function baseOf({ inheritedFrom = "", isForeign }: Member, page: Page, locate: Locate): string {
  return isForeign
    ? `\`${inheritedFrom}\` of \`@libsql/client\``
    : `[\`${inheritedFrom}\`](${locate(inheritedFrom, page)})`;
}

function renderMethod(method: Member, owner: string, page: Page, locate: Locate): string {
  const parts = [
    `### ${method.name}`,
    fence(method.signatures),
    describe(method.comment.text, locate, page),
    typesLine(method.signatures, owner, page, locate),
    ...method.comment.examples.map((example) => fence([example])),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function propertyTable(properties: readonly Member[], page: Page, locate: Locate): string {
  const hasDefaults = properties.some(({ comment }) => comment.default !== undefined);
  const rows = properties.map(({ name, isOptional, isForeign, signatures, comment }) => {
    const cells = [
      `\`${name}${isOptional ? "?" : ""}\``,
      typeCell(signatures[0]!, page, locate),
      ...(hasDefaults ? [isForeign ? "" : defaultCell(comment.default)] : []),
      isForeign ? "As in `@libsql/client`." : inCell(describe(comment.text, locate, page)),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const head = hasDefaults
    ? "| name | type | default | meaning |\n|---|---|---|---|"
    : "| name | type | meaning |\n|---|---|---|";
  return [head, ...rows].join("\n");
}

/** A value as code, and a phrase as text. */
function defaultCell(value: string | undefined): string {
  if (value === undefined) return "";
  const isValue = /^(?:["\d[{-]|true$|false$|null$|Infinity$|Date\.now$|[A-Z_]+$)/.test(value);
  return isValue ? `\`${inCell(value)}\`` : inCell(value);
}

function typeCell(type: string, page: Page, locate: Locate): string {
  const text = inCell(type.replaceAll(/\breadonly (?=\w+\??:)/g, "").replace(/;\s*\}/g, " }"));
  const address = /^\w+$/.test(text) ? locate(text, page) : undefined;
  return address === undefined ? `\`${text}\`` : `[\`${text}\`](${address})`;
}

function inCell(text: string): string {
  return text.replace(/\s+/g, " ").replaceAll("|", "\\|").trim();
}

/** The text of a comment, with links in place of the links of the compiler. */
function describe(text: string, locate: Locate, page: Page): string {
  return text.replace(/\{@link (\w+)\}/g, (_, name: string) => {
    const address = locate(name, page);
    return address === undefined ? `\`${name}\`` : `[\`${name}\`](${address})`;
  });
}

/** Links to the types that signatures name. */
function typesLine(signatures: readonly string[], owner: string, page: Page, locate: Locate): string {
  const names = new Set(signatures.flatMap((signature) => signature.match(/\b[A-Z]\w+/g) ?? []));
  names.delete(owner);
  const links = [...names].flatMap((name) => {
    const address = locate(name, page);
    return address === undefined ? [] : [`[\`${name}\`](${address})`];
  });
  return links.length === 0 ? "" : `Types: ${links.join(", ")}`;
}

function fence(lines: readonly string[]): string {
  return `\`\`\`ts fragment\n${lines.map(wrapSignature).join("\n")}\n\`\`\``;
}
