import { asObject, type StoryData, type StoryMetadata, type StoryMetadataInput, titleIn, UNTITLED } from "./story.js";

/** What an export has put into the story's own metadata, so that an import gives back the story as it was. */
interface ExportMark {
  /** Whether the story had a metadata block. */
  readonly hadMetadata: boolean;
  /** Its own values of the fields that the export has replaced. */
  readonly own: StoryData;
}

const MARK = "holdfast";
const FIELDS = ["title", "tags"] as const;

/** The JSON of a story that carries tags and title in its metadata block; as it is where it says both itself. */
export function toExport(text: string, { title, tags }: StoryMetadata): string {
  const data = JSON.parse(text) as StoryData;
  const hasOwnTitle = (titleIn(data) ?? UNTITLED) !== title;
  if (tags.length === 0 && !hasOwnTitle) return text;
  const block = asObject(data.metadata);
  const own = Object.fromEntries(FIELDS.flatMap((name) => (block && name in block ? [[name, block[name]]] : [])));
  const mark: ExportMark = { hadMetadata: block !== undefined, own };
  return JSON.stringify({ ...data, metadata: { ...block, title, tags }, [MARK]: mark });
}

/** The story of an import as it was before it was exported, with the tags and the title that it carries. */
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
