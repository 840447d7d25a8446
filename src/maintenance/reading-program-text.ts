/**
 * The bundled reading-program.ts, compressed, in base64. A bundle of an application has no file to start it from.
 *
 * The build replaces this module by the text. From source, as in tests, it is bundled when it is first needed.
 */
const script: string = new URL("../../scripts/reading-program.mjs", import.meta.url).href;
export const READING_PROGRAM: string = await (await import(script)).readingProgram();
