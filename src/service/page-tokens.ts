/**
 * Page tokens: opaque, and good only for the list, the other fields and the ledger they were made
 * for. They hold a position and say nothing about who may ask, so they outlive the daemon.
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { accept, refuse, type Outcome } from '../core/refusal.js'

const MAC_BYTES = 16
/** Far longer than any that is made. */
const TOKEN_LENGTH_MAX = 256

/** A list with the fields that its pages belong to: `ListPasids` of which session, what filter. */
export interface ListName {
  readonly method: string
  readonly fields: readonly string[]
}

export class PageTokens {
  readonly #key: Buffer

  constructor(secret: Uint8Array) {
    this.#key = createHmac('sha256', secret).update('pasidd page token').digest()
  }

  /** Empty for no next page. */
  make(list: ListName, position: string | undefined): string {
    if (position === undefined) return ''
    return Buffer.concat([this.#mac(list, position), Buffer.from(position)]).toString('base64url')
  }

  /** The position, undefined for the first page. */
  read(list: ListName, token: string): Outcome<string | undefined> {
    if (token === '') return accept(undefined)
    const bytes = Buffer.from(token.slice(0, TOKEN_LENGTH_MAX), 'base64url')
    const position = bytes.subarray(MAC_BYTES).toString()
    // Base64 has several spellings of some bytes; only the one that was made is taken.
    const spelt = bytes.length > MAC_BYTES && bytes.toString('base64url') === token
    if (spelt && timingSafeEqual(bytes.subarray(0, MAC_BYTES), this.#mac(list, position))) {
      return accept(position)
    }
    const remedy = `send next_page_token of ${list.method} unchanged, or begin without one`
    return refuse({ code: 'PAGE_TOKEN_INVALID', remedy })
  }

  #mac({ method, fields }: ListName, position: string): Buffer {
    const text = JSON.stringify([method, ...fields, position])
    return createHmac('sha256', this.#key).update(text).digest().subarray(0, MAC_BYTES)
  }
}
