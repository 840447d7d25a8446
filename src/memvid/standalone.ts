import { expectation } from "../shared/expectation.js";
import { pathText } from "../shared/locations.js";
import { asMemvidErrors, VerificationFailedError } from "./memvid-error.js";
import { verifyMemvid } from "./open-memvid.js";

/** The release of the SDK whose API this is. */
const SDK_VERSION = "2.0.159";

/** The names of the models that the SDK knows. None is downloaded here. */
export const LOCAL_EMBEDDING_MODELS = {
  BGE_SMALL: "bge-small",
  BGE_BASE: "bge-base",
  NOMIC: "nomic",
  GTE_LARGE: "gte-large",
} as const;

/** The length of the vectors of known models. */
export const MODEL_DIMENSIONS: Readonly<Record<string, number>> = {
  "text-embedding-3-small": 1536,
  "text-embedding-3-large": 3072,
  "text-embedding-ada-002": 1536,
  "embed-english-v3.0": 1024,
  "embed-multilingual-v3.0": 1024,
  "embed-english-light-v3.0": 384,
  "embed-multilingual-light-v3.0": 384,
  "voyage-3": 1024,
  "voyage-3-lite": 512,
  "voyage-code-3": 1024,
  "text-embedding-004": 768,
  "gemini-embedding-001": 3072,
  "mistral-embed": 1024,
  "bge-small": 384,
  "bge-base": 768,
  nomic: 768,
  "gte-large": 1024,
};

/** Patterns and their placeholders, in the order in which they are replaced. */
const PII: readonly (readonly [RegExp, string])[] = [
  [/[\w.%+-]+@[\w-]+(?:\.[\w-]+)+/g, "[EMAIL]"],
  [/\b(?:sk|pk|rk|mv2|ghp|gho|xox[abp])[-_][\w-]{16,}|\bAKIA[0-9A-Z]{16}\b/g, "[API_KEY]"],
  [/\b\d{3}-\d{2}-\d{4}\b/g, "[SSN]"],
  [/\b\d(?:[ -]?\d){12,18}\b/g, "[CREDIT_CARD]"],
  [/\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b/g, "[IP_ADDRESS]"],
  [/(?:\+\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\b\d{3}[ .-])\d{3}[ .-]\d{4}\b/g, "[PHONE]"],
];

/** `text` with e-mail addresses, phone numbers, card and social security numbers, IPv4 addresses and API keys replaced. */
export function maskPii(text: string): string {
  if (typeof text !== "string") throw new TypeError(expectation("text", "a string", text));
  return PII.reduce((masked, [pattern, placeholder]) => masked.replace(pattern, placeholder), text);
}

/** The SDK that this module replaces, and the platform. */
export function info(): Record<string, unknown> {
  const { platform, arch } = process;
  return { sdk_version: SDK_VERSION, implementation: "holdfast", platform, arch, native: null, native_exports: [] };
}

/** Rejects with `MV013` if there is no such memory, and with `MV006` if it is damaged. */
export async function verifySingleFile(memoryPath: string | URL): Promise<void> {
  await asMemvidErrors(async () => {
    const { overall_status, checks } = await verifyMemvid(memoryPath);
    if (overall_status === "passed") return;
    throw new VerificationFailedError(`${pathText("memoryPath", memoryPath)} is damaged: see details`, { checks });
  });
}

/** Always false: there is no telemetry. */
export function isTelemetryEnabled(): boolean {
  return false;
}

/** Has no effect: there is nothing to send. */
export async function flushAnalytics(): Promise<void> {}

/** Always empty: `configure` is for the cloud, and not supported. */
export function getConfig(): Record<string, never> {
  return {};
}

/** Has no effect. */
export function resetConfig(): void {}

/** Returns the name unchanged: no aliases are configured. */
export function resolveMemory(nameOrId: string): string {
  return nameOrId;
}
