/**
 * What goes to stdout. Holds: a slow reader slows the command down instead of filling memory, and a
 * reader that goes away (`| head`) ends it without a complaint.
 */

import type { Writable } from 'node:stream'
import pc from 'picocolors'

export type Colors = ReturnType<typeof pc.createColors>

/** Ends the command: nobody reads any more. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone'
}

export class Output {
  readonly colors: Colors
  readonly isTerminal: boolean
  /** Whether block characters can be shown. */
  readonly isUnicode: boolean
  #gone = false
  #wake: (() => void) | undefined

  constructor(
    private readonly stream: Writable & { readonly isTTY?: boolean },
    environment: NodeJS.ProcessEnv = process.env,
  ) {
    this.isTerminal = stream.isTTY === true
    this.colors = pc.createColors(this.isTerminal && environment['NO_COLOR'] === undefined)
    const { LC_ALL, LC_CTYPE, LANG } = environment
    const locale = [LC_ALL, LC_CTYPE, LANG].find((value) => value !== undefined && value !== '')
    this.isUnicode = /utf-?8/i.test(locale ?? '')
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      this.#gone = true
      this.#wake?.()
    })
    stream.on('drain', () => this.#wake?.())
  }

  /** Resolves when more may be written. @throws ReaderGone */
  async write(text: string): Promise<void> {
    this.#check()
    if (text === '' || this.stream.write(text)) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
    this.#check()
  }

  #check(): void {
    if (this.#gone) throw new ReaderGone()
  }

  /** Resolves when everything written is on its way. */
  async finish(): Promise<void> {
    if (this.#gone || this.stream.writableLength === 0) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.stream.write('', () => resolve())
    })
  }
}
