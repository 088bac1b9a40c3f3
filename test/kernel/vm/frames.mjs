/** Messages on a stream of bytes: each behind its length, 4 bytes, little endian. */

const LENGTH_BYTES = 4

/** @param {Uint8Array} bytes */
export function frame(bytes) {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32LE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** Takes chunks, gives whole messages. */
export class Frames {
  #chunks = []
  #held = 0
  #onMessage

  /** @param {(bytes: Buffer) => void} onMessage */
  constructor(onMessage) {
    this.#onMessage = onMessage
  }

  /** @param {Buffer} chunk */
  add(chunk) {
    this.#chunks.push(chunk)
    this.#held += chunk.length
    for (;;) {
      const bytes = this.#take()
      if (bytes === undefined) return
      this.#onMessage(bytes)
    }
  }

  #take() {
    if (this.#held < LENGTH_BYTES) return undefined
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks)
    this.#chunks = [all]
    const end = LENGTH_BYTES + all.readUInt32LE(0)
    if (all.length < end) return undefined
    this.#chunks = [all.subarray(end)]
    this.#held -= end
    return all.subarray(LENGTH_BYTES, end)
  }
}
