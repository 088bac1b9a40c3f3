/**
 * Session tokens: 256 secret bits, of which the ledger keeps only the hash. With a request id the
 * token is derived, so that a retry gets the same one, also from another daemon on the same ledger.
 */

import { createHash, createHmac } from 'node:crypto'
import type { Chance } from '../broker/ports.js'
import type { RequestKey } from '../core/requests.js'

const TOKEN_BYTES = 32
/** 80 bits: nobody meets another's by chance. */
const SESSION_NAME_BYTES = 10
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

export class TokenMaker {
  readonly #key: Buffer
  readonly #chance: Chance

  constructor(secret: Uint8Array, chance: Chance) {
    this.#key = createHmac('sha256', secret).update('pasidd session token').digest()
    this.#chance = chance
  }

  token(tenant: string, request: RequestKey | undefined): string {
    if (request === undefined) {
      return Buffer.from(this.#chance.bytes(TOKEN_BYTES)).toString('base64url')
    }
    const { text, fingerprintHigh, fingerprintLow } = request
    const canonical = JSON.stringify([tenant, text, fingerprintHigh, fingerprintLow])
    return createHmac('sha256', this.#key).update(canonical).digest('base64url')
  }

  /** The public id of a new session: 16 characters a-z and 2-7. */
  sessionName(): string {
    let bits = 0n
    for (const byte of this.#chance.bytes(SESSION_NAME_BYTES)) bits = (bits << 8n) | BigInt(byte)
    let name = ''
    for (let i = 0; i < (SESSION_NAME_BYTES * 8) / 5; i += 1) {
      name += BASE32.charAt(Number(bits & 31n))
      bits >>= 5n
    }
    return name
  }
}

/** What the ledger keeps and the broker compares: SHA-256 of the token's text, in hex. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
