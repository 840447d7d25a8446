// A client of an embedded replica that writes and fetches in rounds, and reports each resolved fetch.
import { createClient } from "holdfast/client";

const { url, syncUrl, name, rounds } = JSON.parse(process.argv[2]);
const client = createClient({ url, syncUrl });
const say = (message) => console.log(JSON.stringify(message));
for (let round = 0; round < rounds; round++) {
  const args = [`${name}-${round}`, `${name} wrote ${round} `.repeat(40)];
  const failures = [];
  const note = ({ code, message }) => failures.push({ code, message });
  await client.execute("INSERT INTO notes VALUES (?, ?)", args).catch(note);
  await client.sync().catch(note);
  say({ round, failures });
}
await client.close();
say({ done: true });
