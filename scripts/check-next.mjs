// Stores a note through the route of examples/next, and reads it from the page.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

const url = process.argv[2];
const content = `Written at ${new Date().toISOString()}`;

async function post() {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetch(`${url}/api/notes`, { method: "POST", body: content });
    } catch (error) {
      // The server has not started yet.
      if (attempt === 100) throw error;
      await sleep(100);
    }
  }
}

const response = await post();
assert.equal(response.status, 200, await response.clone().text());
assert.equal((await response.json()).ok, true);
assert.match(await (await fetch(url)).text(), new RegExp(`<li>${content}</li>`));
console.log("The standalone output of Next.js stores, checks and shows a note.");
