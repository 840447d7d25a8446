import type { RepositoryContext } from "../../context.js";
import type { SecretBox } from "../secret.js";

/** The context of the stories of one project. */
export interface StoryContext extends RepositoryContext {
  /** Revisions kept of each story. */
  readonly historyLimit: number;
  readonly box: SecretBox;
}
