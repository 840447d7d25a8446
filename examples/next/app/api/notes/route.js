import { storage } from "../../../storage.mjs";

export async function POST(request) {
  const opened = await storage();
  const { id } = await opened.project("web").memories.insert({ content: await request.text() });
  const { ok } = await opened.check();
  return Response.json({ id, ok });
}
