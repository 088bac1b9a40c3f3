/** The person at the other end: is asked before something breaks, is told beside the output. */

import readline from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { CliFailure, EXIT } from './exits.js'
import { printable } from './rows.js'

type Tty = { readonly isTTY?: boolean }

export interface Terminal {
  readonly input: Readable & Tty
  /** Beside the output, so that this can go to a file. */
  readonly messages: Writable & Tty
  /** Calls it once when the person wants an end (Ctrl-C, or TERM); answers with what forgets it. */
  readonly onInterrupt: (listener: () => void) => () => void
}

export interface Consent {
  readonly yes?: boolean
  readonly dryRun?: boolean
}

export function note({ messages }: Terminal, text: string): void {
  messages.write(`pasidctl: ${printable(text)}\n`)
}

/** Before anything is called: whether there will be somebody to ask. @throws CliFailure */
export function requireConsent({ input, messages }: Terminal, { yes, dryRun }: Consent): void {
  if (yes === true || dryRun === true) return
  if (input.isTTY === true && messages.isTTY === true) return
  const text = 'nobody can be asked here, this is no terminal: --yes does it, --dry-run shows it'
  throw new CliFailure(text, EXIT.USAGE)
}

/** Asks, unless it was said before. What is not yes is no. @throws CliFailure */
export async function confirm(
  { input, messages }: Terminal,
  { yes }: Consent,
  question: string,
): Promise<void> {
  if (yes === true) return
  // As a plain line: no escape sequences, and Ctrl-C ends the command as ever.
  const lines = readline.createInterface({ input, output: messages, terminal: false })
  const answer = await new Promise<string>((resolve) => {
    lines.once('close', () => {
      messages.write('\n')
      resolve('')
    })
    lines.question(`${printable(question)} [y/N] `, resolve)
  })
  lines.removeAllListeners('close').close()
  if (!/^y(es)?$/i.test(answer.trim())) {
    throw new CliFailure('nothing was changed', EXIT.FAILED)
  }
}
