import { asObject, type StoryData, type StoryMetadata, type StoryMetadataInput, titleIn, UNTITLED } from "./story.js";

/** Notes what an export changed in the story's own metadata, so that an import can undo it. */
interface ExportMark {
  /** Whether the story had a metadata block. */
  readonly hadMetadata: boolean;
  /** The original values of the fields that the export replaced. */
  readonly own: StoryData;
}

const MARK = "holdfast";
const FIELDS = ["title", "tags"] as const;

/** The JSON of a story with tags and title in its metadata block; unchanged if the story already contains both. */
export function toExport(text: string, { title, tags }: StoryMetadata): string {
  const data = JSON.parse(text) as StoryData;
  const hasOwnTitle = (titleIn(data) ?? UNTITLED) !== title;
  if (tags.length === 0 && !hasOwnTitle) return text;
  const block = asObject(data.metadata);
  const own = Object.fromEntries(FIELDS.flatMap((name) => (block && name in block ? [[name, block[name]]] : [])));
  const mark: ExportMark = { hadMetadata: block !== undefined, own };
  return JSON.stringify({ ...data, metadata: { ...block, title, tags }, [MARK]: mark });
}

/** The story of an import as it was before the export, with the tags and the title that it carries. */
export function fromExport(data: StoryData): { data: StoryData; metadata: StoryMetadataInput } {
  const block = asObject(data.metadata);
  const tags = toTagList(block?.tags);
  const mark = asObject(data[MARK]);
  const own = asObject(mark?.own);
  if (mark === undefined || own === undefined || block === undefined) {
    return { data, metadata: tags === undefined ? {} : { tags } };
  }
  const { [MARK]: _, metadata: __, ...rest } = data;
  const { title, tags: ___, ...kept } = block;
  const metadata = { ...kept, ...own };
  const isEmpty = Object.keys(metadata).length === 0 && mark.hadMetadata !== true;
  const story = isEmpty ? rest : { ...rest, metadata };
  const isOwnTitle = typeof title === "string" && title !== (titleIn(story) ?? UNTITLED);
  return {
    data: story,
    metadata: { ...(isOwnTitle ? { title } : {}), ...(tags === undefined ? {} : { tags }) },
  };
}

function toTagList(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((tag) => typeof tag === "string" && tag !== "") ? value : undefined;
}
