import type { FrameDraft } from "./frame.js";
import { EmbeddingFailedError } from "./memvid-error.js";
import type { EmbeddingProvider } from "./memvid-types.js";

/** Makes the vectors of the drafts without one, in one call of the embedder; rejects with MV015. */
export async function embed(
  embedder: EmbeddingProvider,
  drafts: readonly FrameDraft[],
): Promise<Map<FrameDraft, number[]>> {
  const without = drafts.filter((draft) => !draft.hasEmbedding);
  if (without.length === 0) return new Map();
  const vectors = await fromEmbedder(() => embedder.embedDocuments(without.map(({ text }) => text)));
  if (!Array.isArray(vectors) || vectors.length !== without.length) {
    throw new EmbeddingFailedError(`The embedder got ${without.length} texts and returned ${vectors?.length} vectors`);
  }
  return new Map(without.map((draft, index) => [draft, vectors[index]!]));
}

/** The vector of a query, if there is an embedder; rejects with MV015. */
export async function embedQuery(
  embedder: EmbeddingProvider | undefined,
  query: string,
): Promise<number[] | undefined> {
  return embedder === undefined ? undefined : fromEmbedder(() => embedder.embedQuery(query));
}

async function fromEmbedder<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new EmbeddingFailedError(`The embedder failed: ${message}`, undefined, { cause: error });
  }
}
