/** Who asks: a key that signs each request (docs/security.md), or the token of a session. Web Crypto, so in Node and browsers alike. */

/**
 * An HMAC key with its secret, an Ed25519 key with its 32 private bytes (both base64), or the token of a session.
 */
export type Credentials = { key: string; secret: string } | { key: string; ed25519: string } | { token: string };

/** The words of a signed request. */
export interface Signed {
  key: string;
  time: string;
  nonce: string;
  signature: string;
}

const MAX_ID = 2n ** 63n - 1n;
/** What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410). */
const PKCS8 = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

export class Signer {
  readonly #credentials: Credentials;
  #key: Promise<CryptoKey> | undefined;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** Headers for a request; `path` with its query, as it is sent. */
  async headers(method: string, path: string, body: string): Promise<Record<string, string>> {
    if ("token" in this.#credentials) {
      return { Authorization: `Bearer ${this.#credentials.token}` };
    }
    const { key, time, nonce, signature } = await this.#signed(this.#credentials.key, method, path, body);
    return { "Outcry-Key": key, "Outcry-Time": time, "Outcry-Nonce": nonce, "Outcry-Signature": signature };
  }

  /** What a login over the WebSocket says. */
  async login(): Promise<Signed | { token: string }> {
    return "token" in this.#credentials ? this.#credentials : this.#signed(this.#credentials.key, "GET", "/v1/ws", "");
  }

  async #signed(key: string, method: string, path: string, body: string): Promise<Signed> {
    const time = String(BigInt(Date.now()) * 1_000_000n);
    const nonce = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const message = new TextEncoder().encode(`${time}\n${nonce}\n${method}\n${path}\n${body}`);
    const secret = await (this.#key ??= imported(this.#credentials));
    const signature = new Uint8Array(await crypto.subtle.sign(secret.algorithm.name, secret, message));
    return { key, time, nonce, signature: btoa(String.fromCharCode(...signature)) };
  }
}

/** An id for a command: a number above 0 of 63 bits, by chance. */
export function newCommandId(): string {
  return String((crypto.getRandomValues(new BigUint64Array(1))[0]! % MAX_ID) + 1n);
}

function imported(credentials: Credentials): Promise<CryptoKey> {
  if ("secret" in credentials) {
    return crypto.subtle.importKey("raw", bytes(credentials.secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  }
  const secret = "ed25519" in credentials ? bytes(credentials.ed25519) : new Uint8Array();
  return crypto.subtle.importKey("pkcs8", Uint8Array.from([...PKCS8, ...secret]), { name: "Ed25519" }, false, ["sign"]);
}

function bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
