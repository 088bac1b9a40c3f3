/**
 * Tokens of page requests: which group of which device a token answers, with a MAC over it. Nothing
 * is kept of them, so one that an earlier daemon made on the same ledger can still be read.
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { DeviceId, SessionId, Target } from '../core/ids.js'

const MAC_BYTES = 16
const BODY_BYTES = 26
export const PAGE_REQUEST_TOKEN_BYTES = BODY_BYTES + MAC_BYTES

/** What a token says. All numbers are of the fields' widths. */
export interface NamedGroup {
  readonly session: SessionId
  readonly device: DeviceId
  readonly target: Target
  /** 9 bits. */
  readonly group: number
  /** Random, 32 bits: of the daemon's run. */
  readonly run: number
  /** Counts the groups of the run, 32 bits: a group index is used again and again. */
  readonly serial: number
  /** Wall clock, milliseconds. */
  readonly deadlineAt: number
}

export class PageRequestTokens {
  readonly #key: Buffer

  constructor(secret: Uint8Array) {
    this.#key = createHmac('sha256', secret).update('pasidd page request token').digest()
  }

  make(named: NamedGroup): Uint8Array {
    const body = Buffer.alloc(BODY_BYTES)
    body.writeUInt32BE(named.session, 0)
    body.writeUInt16BE(named.device, 4)
    body.writeUInt32BE(named.target, 6)
    body.writeUInt16BE(named.group, 10)
    body.writeUInt32BE(named.run, 12)
    body.writeUInt32BE(named.serial, 16)
    body.writeUIntBE(named.deadlineAt, 20, 6)
    return Buffer.concat([body, this.#mac(body)])
  }

  /** Undefined: nobody with our key made it. */
  read(token: Uint8Array): NamedGroup | undefined {
    if (token.length !== PAGE_REQUEST_TOKEN_BYTES) return undefined
    const body = Buffer.from(token.subarray(0, BODY_BYTES))
    if (!timingSafeEqual(token.subarray(BODY_BYTES), this.#mac(body))) return undefined
    return {
      session: body.readUInt32BE(0) as SessionId,
      device: body.readUInt16BE(4) as DeviceId,
      target: body.readUInt32BE(6) as Target,
      group: body.readUInt16BE(10),
      run: body.readUInt32BE(12),
      serial: body.readUInt32BE(16),
      deadlineAt: body.readUIntBE(20, 6),
    }
  }

  #mac(body: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(body).digest().subarray(0, MAC_BYTES)
  }
}
