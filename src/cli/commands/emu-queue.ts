/** `emu queue`: descriptors in the unit's own invalidation queue, from lines of words. */

import fs from 'node:fs'
import { text as textOf } from 'node:stream/consumers'
import type { Command } from 'commander'
import { CliFailure, EXIT, type ExitCode } from '../exits.js'
import { writeFacts, writeJsonObject, type Fact } from '../facts.js'
import { hex } from '../numbers.js'
import type { Does } from '../perform.js'
import type { Terminal } from '../terminal.js'
import type { Work } from '../settings.js'

const WORD_BYTES = 8
/** Descriptors that one call takes. */
const BATCH = 512
const WORD = /^(0x)?[0-9a-f]{1,16}$/i

interface SubmitFlags {
  readonly wide?: boolean
  readonly clearError?: boolean
}

interface Submitted {
  readonly done: number
  readonly problem: string
  readonly statusWrites: readonly { readonly address: string; readonly data: number }[]
  readonly interrupts: number
}

/** All that a file, or what comes on stdin, holds. @throws CliFailure */
async function contentOf(file: string, { input }: Terminal): Promise<string> {
  if (file === '-') return textOf(input)
  try {
    return fs.readFileSync(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliFailure(`${file} cannot be read: ${why}`, EXIT.USAGE)
  }
}

/** One descriptor a line: two hexadecimal words, or four in a wide queue. @throws CliFailure */
function descriptorsOf(text: string, file: string, wide: boolean): Buffer[] {
  const descriptors: Buffer[] = []
  for (const [i, line] of text.split('\n').entries()) {
    const words = (line.split('#', 1)[0] ?? '').trim().split(/\s+/)
    if (words[0] === '') continue
    const isWhole = words.length === 2 || (wide && words.length === 4)
    if (!isWhole || !words.every((word) => WORD.test(word))) {
      const bound = wide ? 'two or four hexadecimal words' : 'two hexadecimal words'
      throw new CliFailure(`${file}:${i + 1}: a descriptor is ${bound} of 64 bits`, EXIT.USAGE)
    }
    const bytes = Buffer.alloc((wide ? 4 : 2) * WORD_BYTES)
    for (const [at, word] of words.entries()) {
      bytes.writeBigUInt64LE(BigInt(`0x${word.replace(/^0x/i, '')}`), at * WORD_BYTES)
    }
    descriptors.push(bytes)
  }
  if (descriptors.length > 0) return descriptors
  throw new CliFailure(`${file} has no descriptors`, EXIT.USAGE)
}

function submittedFacts({ done, problem, statusWrites, interrupts }: Submitted, all: number) {
  const last = statusWrites.at(-1)
  const told = last === undefined ? '' : `, the last ${hex(last.data)} at ${hex(last.address)}`
  const facts: Fact[] = [
    ['carried out', `${done} of ${all}`],
    ['status writes', `${statusWrites.length} asked for, none stored${told}`],
    ['interrupts', `${interrupts} asked for, none raised`],
  ]
  return problem === '' ? facts : [...facts, ['STANDS', problem] satisfies Fact]
}

/** Whether all of them were carried out: 0; the queue stands: 1. */
async function submit(
  { client, output, format, terminal }: Work,
  file: string,
  { wide = false, clearError = false }: SubmitFlags,
): Promise<ExitCode> {
  const all = descriptorsOf(await contentOf(file, terminal), file, wide)
  let submitted: Submitted = { done: 0, problem: '', statusWrites: [], interrupts: 0 }
  for (let at = 0; at < all.length && submitted.problem === ''; at += BATCH) {
    const descriptors = Buffer.concat(all.slice(at, at + BATCH))
    const clears = clearError && at === 0
    const next = await client.emulator.submitDescriptors({ descriptors, wide, clearError: clears })
    submitted = {
      done: submitted.done + next.done,
      problem: next.problem,
      statusWrites: [...submitted.statusWrites, ...next.statusWrites],
      interrupts: submitted.interrupts + next.interrupts,
    }
  }
  if (format === 'json') await writeJsonObject(output, submitted)
  else await writeFacts(output, submittedFacts(submitted, all.length))
  return submitted.problem === '' ? EXIT.OK : EXIT.FAILED
}

export function addEmuQueue(emu: Command, does: Does): void {
  const queue = emu.command('queue').description("the unit's own invalidation queue")
  queue
    .command('submit')
    .description('carry out raw descriptors; exits 1 when the queue stands at a bad one')
    .argument('<file>', 'a line each: the low and the high word in hexadecimal; - for stdin')
    .option('--wide', 'descriptors of 256 bits: two words, or four')
    .option('--clear-error', 'go on if the queue stands')
    .action(does((work, file: string, flags: SubmitFlags) => submit(work, file, flags)))
}
