import { expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { tempStorage } from "../../support/storage.js";

test("sessions start, end, list and conflict within their project", async () => {
  await using temp = await tempStorage();
  const { sessions } = temp.storage;
  const first = await sessions.start();
  await sessions.start("named", { metadata: { a: 1 } });
  expect(await rejection(sessions.start("named"))).toMatchObject({ code: "CONFLICT" });
  expect((await sessions.active())?.id).toBe("named");
  expect(await sessions.end("named", "done")).toMatchObject({
    summary: "done",
    metadata: { a: 1 },
    endedAt: expect.any(Date),
  });
  expect(await sessions.end("named")).toMatchObject({ summary: "done" });
  expect((await sessions.active())?.id).toBe(first.id);
  expect(await sessions.end("unknown")).toBeUndefined();
  expect(await sessions.get("unknown")).toBeUndefined();
  expect(await rejection(sessions.require("unknown"))).toMatchObject({ code: "NOT_FOUND" });
  expect((await sessions.getMany(["named", "unknown", first.id])).map(({ id }) => id)).toEqual(["named", first.id]);
  expect((await sessions.latest(1)).map(({ id }) => id)).toEqual(["named"]);
  const { items, nextCursor } = await sessions.list({ limit: 1 });
  expect([...items, ...(await sessions.list({ cursor: nextCursor })).items].map(({ id }) => id)).toEqual([
    "named",
    first.id,
  ]);
});

test("a session never ends before it started, whatever the clock says", async () => {
  let time = 1_800_000_000_000;
  await using temp = await tempStorage({ now: () => time });
  const { id } = await temp.storage.sessions.start();
  time -= 7_200_000;
  const ended = await temp.storage.sessions.end(id);
  expect(ended?.endedAt).toEqual(ended?.startedAt);
});
