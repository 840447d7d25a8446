import { storage } from "../storage.mjs";
import { Notes } from "./notes.jsx";

export const dynamic = "force-dynamic";

export default async function Page() {
  const { client } = await storage();
  const { rows } = await client.execute("SELECT id, content FROM memories ORDER BY id");
  return <Notes rows={rows} />;
}
