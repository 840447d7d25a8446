import type { Storage } from "../storage/storage.js";
import type { Output } from "./output.js";

/** The most projects that a note names. */
const MAX_NAMED = 10;

/** A note for a command on a project that has no records, perhaps because its name is mistyped. */
export async function noteForProject(storage: Storage, project: string | undefined): Promise<(output: Output) => void> {
  if (project === undefined) return () => undefined;
  const names = (await storage.projects()).map((one) => one.project);
  if (names.includes(project)) return () => undefined;
  return (output) => output.note(`project ${JSON.stringify(project)} has no records. ${listProjects(names)}`);
}

/** A note for a search of `project` that found nothing. */
export async function noteNothingFound(storage: Storage, project: string): Promise<(output: Output) => void> {
  const advice = await listOtherProjects(storage, project);
  return (output) => output.note(`found nothing in project ${JSON.stringify(project)}.${advice}`);
}

/** A sentence that names the other projects, with a space before it; empty if there are none. */
export async function listOtherProjects(storage: Storage, project: string): Promise<string> {
  const others = (await storage.projects()).map((one) => one.project).filter((name) => name !== project);
  return others.length === 0 ? "" : ` ${listProjects(others, "Other projects")}. Name one with --project`;
}

function listProjects(names: readonly string[], title = "Projects with records"): string {
  if (names.length === 0) return "The database has no records";
  const named = names.slice(0, MAX_NAMED).map((name) => JSON.stringify(name));
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : "";
  return `${title}: ${named.join(", ")}${more}`;
}
