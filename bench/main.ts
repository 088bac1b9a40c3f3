/**
 * `npm run bench -- core|rpc|flood|all [--smoke] [--profile DIR]`: measures and writes
 * bench/RESULTS.md. `--smoke` runs a little of everything, only to see that it runs, and writes
 * nothing. `--profile` has pasidd write a CPU profile of the RPC bench to DIR. No figure makes this
 * fail.
 */

import path from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { benchFlood } from './flood.js'
import { benchRpc } from './rpc.js'
import { coreSection } from './rpc-core-section.js'
import { SECTIONS, writeSection, type SectionName } from './rpc-results.js'

const EXIT_USAGE = 2
const EXIT_TERMINATED = 143
const EXIT_INTERRUPTED = 130
const USAGE = 'usage: npm run bench -- core|rpc|flood|all [--smoke] [--profile DIR]\n'

/** This file runs as build/bench/main.js. */
const ROOT = path.resolve(import.meta.dirname, '../..')

interface Wanted {
  readonly sections: readonly SectionName[]
  readonly smoke: boolean
  readonly profileTo: string | undefined
}

function wanted(): Wanted | undefined {
  const options = { smoke: { type: 'boolean' }, profile: { type: 'string' } } as const
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true })
    const [which = 'all', ...rest] = positionals
    const all = Object.keys(SECTIONS)
    const sections = which === 'all' ? all : [which]
    const known = sections.filter((name): name is SectionName => all.includes(name))
    if (rest.length > 0 || known.length !== sections.length) return undefined
    return { sections: known, smoke: values.smoke ?? false, profileTo: values.profile }
  } catch {
    return undefined
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function run({ sections, smoke, profileTo }: Wanted): Promise<void> {
  const bodies = new Map<SectionName, string>()
  for (const name of sections) {
    say(`${name}${smoke ? ', a little of everything' : ''}:`)
    bodies.set(name, await benches[name]({ smoke, profileTo }))
  }
  if (smoke) return say('smoke: it all runs; nothing is written')
  for (const [name, body] of bodies) {
    const file = writeSection(ROOT, name, body)
    say(`${name}: written to ${path.relative(ROOT, file)}`)
  }
}

/** Each answers with the body of its section. */
const benches: Record<
  SectionName,
  (options: Pick<Wanted, 'smoke' | 'profileTo'>) => Promise<string>
> = {
  core: ({ smoke }) => coreSection({ smoke, say }),
  flood: ({ smoke }) => benchFlood({ smoke, root: ROOT, say }),
  rpc: ({ smoke, profileTo }) => benchRpc({ smoke, profileTo, root: ROOT, say }),
}

// Exiting by oneself, so that what was started and made is taken down.
process.once('SIGTERM', () => process.exit(EXIT_TERMINATED))
process.once('SIGINT', () => process.exit(EXIT_INTERRUPTED))

const task = wanted()
if (task === undefined) {
  process.stderr.write(USAGE)
  process.exit(EXIT_USAGE)
}
await run(task)
process.exit(0)
