import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { StorageError } from "../../shared/errors.js";
import { toJson } from "./story.js";

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
/** 96 bits, which GCM is designed for; random for each encryption. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FORMAT = 1;

/**
 * Encrypts values with AES-256-GCM. Each is bound to its project and name: a value moved elsewhere cannot be decrypted.
 *
 * The result is format (1 byte), nonce (12), tag (16), ciphertext.
 */
export class SecretBox {
  readonly #key: Buffer | undefined;

  /** @param secret 32 bytes or 64 hex digits; without it, `seal` and `open` throw. Other values are a TypeError. */
  constructor(secret: Uint8Array | string | undefined) {
    this.#key = secret === undefined ? undefined : toKey(secret);
  }

  /** Throws `NO_SECRET` without a key. */
  seal(project: string, name: string, value: unknown): Uint8Array {
    const key = this.#requireKey();
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, key, nonce).setAAD(aad(project, name));
    const sealed = Buffer.concat([cipher.update(toJson(name, value), "utf8"), cipher.final()]);
    return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.getAuthTag(), sealed]);
  }

  /** Throws `NO_SECRET` without a key, and `WRONG_SECRET` if this key cannot decrypt the value. */
  open(project: string, name: string, sealed: Uint8Array): unknown {
    const key = this.#requireKey();
    const bytes = Buffer.from(sealed);
    const nonce = bytes.subarray(1, 1 + NONCE_BYTES);
    const tag = bytes.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES);
    try {
      if (bytes[0] !== FORMAT) throw new Error(`unknown format ${bytes[0]}`);
      const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
        .setAAD(aad(project, name))
        .setAuthTag(tag);
      const text = Buffer.concat([decipher.update(bytes.subarray(1 + NONCE_BYTES + TAG_BYTES)), decipher.final()]);
      return JSON.parse(text.toString("utf8"));
    } catch (cause) {
      throw new StorageError(
        "WRONG_SECRET",
        `The ${name} was encrypted with another \`secret\`, or is damaged: open with the secret that saved it, or save it again`,
        { cause },
      );
    }
  }

  #requireKey(): Buffer {
    if (this.#key !== undefined) return this.#key;
    throw new StorageError(
      "NO_SECRET",
      "Tokens are stored encrypted only: give `secret`, 32 bytes or 64 hex digits, or set HOLDFAST_SECRET",
    );
  }
}

function aad(project: string, name: string): Buffer {
  return Buffer.from(JSON.stringify(["holdfast", project, name]));
}

/** The message must not contain the secret. */
function toKey(secret: Uint8Array | string): Buffer {
  if (typeof secret === "string" && /^[0-9a-f]{64}$/i.test(secret)) return Buffer.from(secret, "hex");
  if (secret instanceof Uint8Array && secret.length === KEY_BYTES) return Buffer.from(secret);
  throw new TypeError(`Expected \`secret\` to be 32 bytes, or 64 hex digits, got ${sizeOf(secret)}`);
}

function sizeOf(secret: unknown): string {
  if (typeof secret === "string") return `text of ${secret.length} characters`;
  return secret instanceof Uint8Array ? `${secret.length} bytes` : typeof secret;
}
