/**
 * A growing run of bytes to write to, and a bounded one to read from. Every `put` asserts that the
 * value fits its width and every `take` that the bytes are there: nothing is cut off silently.
 * Messages are constant: composing them would cost more than the work itself.
 */

import { assert } from '../core/assert.js'

/** Bytes that no writer made. Between two threads of one process that is a bug; see codec.ts. */
export class CodecFault extends Error {
  override readonly name = 'CodecFault'
}

const FIRST_CAPACITY = 16 * 1024
/** Above this a buffer is given away after use instead of being kept for the next batch. */
const KEPT_CAPACITY_MAX = 4 * 1024 * 1024
/** Longer texts go through TextEncoder; shorter ones are faster by hand while they are ASCII. */
const SHORT_TEXT_MAX = 128

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class ByteWriter {
  #bytes = new Uint8Array(FIRST_CAPACITY)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  get length(): number {
    return this.#length
  }

  putU8(value: number): void {
    assert((value & 0xff) === value, 'a value fits 8 bits')
    const at = this.#reserve(1)
    this.#bytes[at] = value
  }

  putU16(value: number): void {
    assert((value & 0xffff) === value, 'a value fits 16 bits')
    const at = this.#reserve(2)
    this.#view.setUint16(at, value, true)
  }

  putU32(value: number): void {
    assert(value >>> 0 === value, 'a value fits 32 bits')
    const at = this.#reserve(4)
    this.#view.setUint32(at, value, true)
  }

  /** A whole number from 0 on, as far as a double is exact. */
  putWhole(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'a whole number below 2^53')
    const at = this.#reserve(8)
    this.#view.setFloat64(at, value, true)
  }

  /** Any finite number from 0 on: instants have fractions. */
  putFinite(value: number): void {
    assert(Number.isFinite(value) && value >= 0, 'a finite number, not negative')
    const at = this.#reserve(8)
    this.#view.setFloat64(at, value, true)
  }

  putText(text: string): void {
    if (text.length <= SHORT_TEXT_MAX && this.#putAscii(text)) return
    const bytes = encoder.encode(text)
    this.putU32(bytes.length)
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
  }

  /** Writes a number over one that was put earlier with putU32. */
  patchU32(at: number, value: number): void {
    assert(at + 4 <= this.#length && value >>> 0 === value, 'a patch lies within what was put')
    this.#view.setUint32(at, value, true)
  }

  /** Everything put so far, as a buffer of its own that may be transferred; then starts anew. */
  finish(): ArrayBuffer {
    const made = this.#bytes.buffer.slice(0, this.#length)
    this.reset()
    return made
  }

  reset(): void {
    this.#length = 0
    if (this.#bytes.length > KEPT_CAPACITY_MAX) this.#resize(FIRST_CAPACITY)
  }

  /** False, with nothing written, when the text has anything but ASCII. */
  #putAscii(text: string): boolean {
    const start = this.#reserve(4 + text.length)
    const bytes = this.#bytes
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) {
        this.#length = start
        return false
      }
      bytes[start + 4 + i] = code
    }
    this.#view.setUint32(start, text.length, true)
    return true
  }

  /** May move the bytes: call it before `#view` or `#bytes` is read. */
  #reserve(count: number): number {
    const at = this.#length
    this.#length = at + count
    if (this.#length > this.#bytes.length) {
      this.#resize(Math.max(this.#bytes.length * 2, this.#length))
    }
    return at
  }

  #resize(capacity: number): void {
    const next = new Uint8Array(capacity)
    next.set(this.#bytes.subarray(0, Math.min(this.#bytes.length, capacity)))
    this.#bytes = next
    this.#view = new DataView(next.buffer)
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(buffer: ArrayBuffer) {
    this.#bytes = new Uint8Array(buffer)
    this.#view = new DataView(buffer)
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  takeU8(): number {
    return this.#view.getUint8(this.#advance(1))
  }

  takeU16(): number {
    return this.#view.getUint16(this.#advance(2), true)
  }

  takeU32(): number {
    return this.#view.getUint32(this.#advance(4), true)
  }

  takeWhole(): number {
    const value = this.#view.getFloat64(this.#advance(8), true)
    if (!Number.isSafeInteger(value) || value < 0)
      throw new CodecFault(`not a whole number: ${value}`)
    return value
  }

  takeFinite(): number {
    const value = this.#view.getFloat64(this.#advance(8), true)
    if (!Number.isFinite(value) || value < 0) throw new CodecFault(`not a finite number: ${value}`)
    return value
  }

  takeText(): string {
    const length = this.takeU32()
    const at = this.#advance(length)
    try {
      return decoder.decode(this.#bytes.subarray(at, at + length))
    } catch (cause) {
      throw new CodecFault('a text is not UTF-8', { cause })
    }
  }

  #advance(count: number): number {
    const at = this.#at
    if (count > this.#bytes.length - at) throw new CodecFault('the bytes end too early')
    this.#at = at + count
    return at
  }
}
