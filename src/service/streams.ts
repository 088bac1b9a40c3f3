/** The Control streams that are open, so that a daemon that stops can end them. */

export interface OpenStream {
  /** Takes no more commands, answers those under way, then ends with DRAINING. */
  drain(): void
}

export class Streams {
  readonly #open = new Set<OpenStream>()
  #draining = false

  get draining(): boolean {
    return this.#draining
  }

  get count(): number {
    return this.#open.size
  }

  /** Answers how to take it out again. */
  add(stream: OpenStream): () => void {
    this.#open.add(stream)
    return () => this.#open.delete(stream)
  }

  /** For good: whoever adds a stream later looks at `draining` and ends it at once. */
  drain(): void {
    this.#draining = true
    for (const stream of [...this.#open]) stream.drain()
  }
}
