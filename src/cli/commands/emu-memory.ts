/** `emu memory`: guest memory of a session: mapping it, and laying words in it. */

import { InvalidArgumentError, type Command } from 'commander'
import { wordLines } from '../emulator-text.js'
import { CliFailure, EXIT } from '../exits.js'
import { writeJsonObject } from '../facts.js'
import { hex, parseCount, parseWord } from '../numbers.js'
import type { Does } from '../perform.js'
import type { Work } from '../settings.js'

const WORD_BYTES = 8

interface MapFlags {
  readonly zeros?: boolean
  readonly file?: string
  readonly offset?: bigint
  readonly readOnly?: boolean
}

async function map(
  { client, output, format }: Work,
  [session, address, size]: readonly [string, bigint, bigint],
  { zeros = false, file, offset, readOnly }: MapFlags,
): Promise<void> {
  if (zeros === (file !== undefined)) {
    throw new CliFailure('say what lies there: --zeros, or --file PATH; one of them', EXIT.USAGE)
  }
  const source = { path: file, offset, readOnly }
  const answer = await client.emulator.mapMemory({ session, address, size, ...source })
  if (format === 'json') return writeJsonObject(output, answer)
  return output.write(`mapped: ${hex(address)}..${hex(address + size - 1n)}\n`)
}

async function unmap(
  { client, output, format }: Work,
  session: string,
  address: bigint | undefined,
  size: bigint | undefined,
): Promise<void> {
  if (address !== undefined && size === undefined) {
    throw new CliFailure('name address and size as they were mapped, or neither', EXIT.USAGE)
  }
  const range = address === undefined || size === undefined ? undefined : { address, size }
  const answer = await client.emulator.unmapMemory(session, range)
  if (format === 'json') return writeJsonObject(output, answer)
  return output.write(`unmapped: ${answer.unmapped} ranges\n`)
}

async function read(
  { client, output, format }: Work,
  session: string,
  address: bigint,
  size: number,
): Promise<void> {
  const data = await client.emulator.readMemory(session, address, size)
  if (format === 'json') return writeJsonObject(output, { data })
  return output.write(
    wordLines(address, data)
      .map((line) => `${line}\n`)
      .join(''),
  )
}

async function write(
  { client, output, format }: Work,
  session: string,
  address: bigint,
  words: readonly bigint[],
): Promise<void> {
  const data = Buffer.alloc(words.length * WORD_BYTES)
  for (const [i, word] of words.entries()) data.writeBigUInt64LE(word, i * WORD_BYTES)
  const answer = await client.emulator.writeMemory(session, address, data)
  if (format === 'json') return writeJsonObject(output, answer)
  return output.write(`written: ${words.length} words at ${hex(address)}\n`)
}

function parseWords(text: string, before: readonly bigint[] | undefined): readonly bigint[] {
  const words = [...(before ?? []), parseWord(text)]
  if (words.length <= 8192) return words
  throw new InvalidArgumentError('must be at most 8192 words.')
}

export function addEmuMemory(emu: Command, does: Does): void {
  const memory = emu.command('memory').description("guest memory of a session without a VMM's")
  memory
    .command('map')
    .description('map guest-physical memory')
    .argument('<session>', 'sessions/ID')
    .argument('<address>', 'guest-physical, a multiple of 4096', parseWord)
    .argument('<size>', 'bytes, a multiple of 4096', parseWord)
    .option('--zeros', 'zeros, at most 1 GiB')
    .option('--file <path>', "a regular file on the daemon's host")
    .option('--offset <bytes>', 'where in the file it begins', parseWord)
    .option('--read-only', 'only to be read')
    .action(
      does((work, ...rest: [string, bigint, bigint, MapFlags]) => {
        const [session, address, size, flags] = rest
        return map(work, [session, address, size], flags)
      }),
    )
  memory
    .command('unmap')
    .description('take it away again')
    .argument('<session>', 'sessions/ID')
    .argument('[address]', 'of a range as it was mapped (all)', parseWord)
    .argument('[size]', 'its bytes', parseWord)
    .action(
      does((work, session: string, address?: bigint, size?: bigint) => {
        return unmap(work, session, address, size)
      }),
    )
  memory
    .command('read')
    .description('words of 64 bits')
    .argument('<session>', 'sessions/ID')
    .argument('<address>', 'guest-physical, a multiple of 8', parseWord)
    .argument('[size]', 'bytes, a multiple of 8, at most 65536', parseCount, WORD_BYTES)
    .action(
      does((work, session: string, address: bigint, size: number) => {
        return read(work, session, address, size)
      }),
    )
  memory
    .command('write')
    .description('words of 64 bits, all or none')
    .argument('<session>', 'sessions/ID')
    .argument('<address>', 'guest-physical, a multiple of 8', parseWord)
    .argument('<words...>', 'what is written', parseWords)
    .action(
      does((work, session: string, address: bigint, words: bigint[]) => {
        return write(work, session, address, words)
      }),
    )
}
