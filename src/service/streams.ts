/** The Control streams that are open, so that a daemon that stops can end them. */

export interface OpenStream {
  /** Takes no more commands, answers those under way, then ends with DRAINING. */
  drain(): void
}

export class Streams {
  readonly #open = new Set<OpenStream>()
  #draining = false

  get count(): number {
    return this.#open.size
  }

  /** Answers how to take it out again. */
  add(stream: OpenStream): () => void {
    this.#open.add(stream)
    if (this.#draining) stream.drain()
    return () => this.#open.delete(stream)
  }

  /** For good: streams that come later are ended at once. */
  drain(): void {
    this.#draining = true
    for (const stream of [...this.#open]) stream.drain()
  }
}
