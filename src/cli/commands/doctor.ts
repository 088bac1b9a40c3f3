/**
 * `doctor`: whether this host is ready for devices to be bound on it, and if not, what to do. Looks
 * at the host by itself; a daemon, if one answers, is asked for its reservations only.
 */

import { InvalidArgumentError, type Command } from 'commander'
import { PasidError, rowsOf } from '../../client/index.js'
import type { PasidRange } from '../../core/range.js'
import { diagnose } from '../../doctor/diagnose.js'
import type { Finding, Verdict } from '../../doctor/finding.js'
import { readHost } from '../../doctor/read-host.js'
import { EXIT, type ExitCode } from '../exits.js'
import type { Colors } from '../output.js'
import type { Does } from '../perform.js'
import { printable, writeRows } from '../rows.js'
import type { Work } from '../settings.js'

interface DoctorFlags {
  readonly device?: readonly string[]
}

const PAINT: Readonly<Record<Verdict, keyof Pick<Colors, 'green' | 'yellow' | 'red' | 'cyan'>>> = {
  OK: 'green',
  WARN: 'yellow',
  FAIL: 'red',
  UNKNOWN: 'cyan',
}
const VERDICT_WIDTH = Math.max(...Object.keys(PAINT).map((verdict) => verdict.length))
const DOMAIN_DEFAULT = '0000'
const FUNCTIONS_MAX = 4096

/** As sysfs writes it; without a domain it is in the first. */
function parseAddress(text: string, before: readonly string[] = []): readonly string[] {
  const pattern = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[01][0-9a-f]\.[0-7])$/
  const [, domain = DOMAIN_DEFAULT, address] = pattern.exec(text.toLowerCase()) ?? []
  if (address === undefined) {
    throw new InvalidArgumentError('must be a PCI address, such as 0000:3b:00.0 or 3b:00.0.')
  }
  if (before.length >= FUNCTIONS_MAX) {
    throw new InvalidArgumentError(`must be named at most ${FUNCTIONS_MAX} times.`)
  }
  return [...before, `${domain}:${address}`]
}

/** Undefined: no daemon answers us. */
async function reservationsOf({ client }: Work): Promise<readonly PasidRange[] | undefined> {
  const ranges: PasidRange[] = []
  try {
    for await (const { range } of rowsOf(client.reservations())) {
      if (range !== null) ranges.push({ first: range.first, last: range.last })
    }
  } catch (error) {
    if (error instanceof PasidError) return undefined
    throw error
  }
  return ranges
}

async function writeText({ output }: Work, findings: readonly Finding[]): Promise<void> {
  const checkWidth = Math.max(...findings.map(({ check }) => check.length))
  const indent = ' '.repeat(VERDICT_WIDTH + checkWidth + 4)
  for (const { verdict, check, subject, found, remedy } of findings) {
    const painted = output.colors[PAINT[verdict]](verdict.padEnd(VERDICT_WIDTH))
    const whose = subject === '' ? '' : `${subject}: `
    const line = `${check.padEnd(checkWidth)}  ${whose}${found}`
    const advice = remedy === '' ? '' : `${indent}-> ${printable(remedy)}\n`
    await output.write(`${painted}  ${printable(line)}\n${advice}`)
  }
  const count = (wanted: Verdict) => findings.filter(({ verdict }) => verdict === wanted).length
  const failed = count('FAIL')
  const others = `${count('WARN')} warnings, ${count('UNKNOWN')} not to be told from here`
  const summary = failed === 0 ? `ready: ${others}` : `NOT ready: ${failed} failed, ${others}`
  await output.write(`${output.colors.bold(summary)}\n`)
}

async function doctor(work: Work, { device }: DoctorFlags): Promise<ExitCode> {
  const reservations = await reservationsOf(work)
  const functions = device?.map((address) => ({ address }))
  const findings = diagnose(readHost({ functions }), { reservations })
  if (work.format === 'json') {
    const pages = (async function* () {
      yield await Promise.resolve(findings)
    })()
    await writeRows(work.output, pages, [], { format: 'json', limit: Number.POSITIVE_INFINITY })
  } else await writeText(work, findings)
  return findings.some(({ verdict }) => verdict === 'FAIL') ? EXIT.FAILED : EXIT.OK
}

export function addDoctor(root: Command, does: Does): void {
  root
    .command('doctor')
    .description('whether this host is ready for devices to be bound on it; needs no daemon')
    .option(
      '--device <address...>',
      'look at these PCI functions (all that VFIO has)',
      parseAddress,
    )
    .action(does((work, flags: DoctorFlags) => doctor(work, flags)))
}
