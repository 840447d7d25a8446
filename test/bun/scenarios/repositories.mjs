// Conversations, graphs and stories, as their contracts describe them.
import { join } from "node:path";
import { openStorage } from "holdfast";
import { openStories } from "holdfast/stories";
import { transcript } from "../transcript.mjs";

await transcript(async ({ dir, note }) => {
  let clock = 1_700_000_000_000;
  const storage = await openStorage({ url: join(dir, "app.db"), secret: "ab".repeat(32), now: () => clock++ });
  const { conversations, graph, stories } = storage.project("p");

  await note("conversation", () =>
    conversations.insert({ id: "talk", title: "Größe", tags: ["x"], metadata: { n: 1 } }),
  );
  await note("append", () =>
    conversations.append("talk", [
      { id: "m1", role: "system", content: "Answer briefly." },
      { id: "m2", role: "user", content: "Which region does the 数据库 run in?", clientId: "c1" },
      { id: "m3", role: "assistant", content: "Ireland.", metadata: { toolCalls: [{ id: "t" }] } },
      { id: "m4", role: "tool", content: "", metadata: { toolCallId: "t" } },
    ]),
  );
  const first = { role: "user", content: "Which region does the 数据库 run in?", clientId: "c1" };
  await note("clientId again", () => conversations.append("talk", first));
  await note("clientId of another", () => conversations.append("talk", { ...first, content: "again" }));
  await note("window", () => conversations.window("talk", { lastMessages: 2 }));
  await note("messages", () => conversations.messages("talk", { after: 1, roles: ["user", "assistant"] }));
  await note("fork", () => conversations.fork("talk", { atSeq: 2, title: "other way" }));
  await note("search", () => conversations.search("region of the database", { context: 1 }));
  await note("substring", () => conversations.search("relan"));
  await note("ref", () => conversations.linkRef("m2", { kind: "file", target: "a.ts", score: 0.5 }));
  await note("byRef", () => conversations.byRef("file", "a.ts"));
  await note("updateMessage", () => conversations.updateMessage("m3", { content: "Frankfurt." }));
  await note("export", () => conversations.export("talk"));
  await note("missing", () => conversations.messages("nobody"));
  await note("role", () => conversations.append("talk", { role: "judge", content: "x" }));

  await note("nodes", () =>
    graph.addNodes(
      ["a", "b", "c", "😀", "\u{fffd}"].map((id) => ({ id, kind: "k", name: `n ${id}`, data: { size: id.length } })),
    ),
  );
  await note("edges", () =>
    graph.addEdges([
      { id: "e1", from: "a", to: "b", type: "t" },
      { id: "e2", from: "b", to: "c", type: "t", weight: 2.5 },
      { id: "e3", from: "c", to: "a", type: "u" },
      { id: "e4", from: "a", to: "😀", type: "u" },
      { id: "e5", from: "a", to: "\u{fffd}", type: "u" },
    ]),
  );
  await note("bfs", () => graph.bfs("a"));
  await note("shortestPath", () => graph.shortestPath("a", "c", { weighted: true }));
  await note("cycles", () => graph.cycles());
  await note("topologicalOrder", () => graph.topologicalOrder());
  await note("pageRank", () => graph.pageRank());
  await note("match", () =>
    graph.match([{ as: "f", kind: "k" }, { type: "t" }, { as: "g", where: { size: { gte: 1 } } }]),
  );
  await note("foreign key", () => graph.addEdge({ from: "a", to: "nobody", type: "t" }));
  await note("lines", async () => {
    const lines = [];
    for await (const line of graph.export()) lines.push(line.replace(/"\d{4}-[^"]*Z"|\d{13}/g, "<time>"));
    return lines;
  });

  for (const [name, service] of [
    ["libsql", stories],
    ["files", await openStories({ backend: "filesystem", path: join(dir, "stories"), secret: "ab".repeat(32) })],
  ]) {
    const step = (what, work) => note(`${name}: ${what}`, work);
    await step("save", () => service.saveStory("../x", { title: "One", passages: [{ id: "start" }] }));
    await step("save again", () => service.saveStory("../x", { title: "Two" }, { expectedRevision: 1 }));
    await step("conflict", () => service.saveStory("../x", { title: "Late" }, { expectedRevision: 1 }));
    await step("load", () => service.loadStory("../x"));
    await step("revisions", () => service.revisions("../x"));
    await step("revert", () => service.revert("../x", 1));
    await step("list", () => service.listStories({ limit: 5 }));
    await step("batch", () => service.batchSave({ a: { title: "A" }, b: { title: "B" } }, { atomic: true }));
    await step("delete", () => service.deleteStory("a"));
    await step("restore", () => service.restore("a"));
    await step("export", () => service.exportStory("b"));
    await step("token", () => service.backend.saveGithubToken("ghp_secret"));
    await step("token back", () => service.backend.loadGithubToken());
    await step("statistics", () => service.getStatistics());
    if (name === "files") await service.close();
  }
  await storage.close();
});
