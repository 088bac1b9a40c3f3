/**
 * `emu`: the emulator's laboratory: the unit, accesses, page requests, tables, and what was done.
 */

import type { Command } from 'commander'
import type { EmulatorState } from '../../client/index.js'
import { idOf } from '../columns.js'
import { translationFacts } from '../emulator-text.js'
import { CliFailure, EXIT, type ExitCode } from '../exits.js'
import { writeFacts, writeJsonObject, type Fact } from '../facts.js'
import { hex, parseCount, parseMs, parseTarget, parseWord } from '../numbers.js'
import type { Does } from '../perform.js'
import { printable, writeRows, type Column } from '../rows.js'
import { parseRevision, type Work } from '../settings.js'
import { addEmuDevice } from './emu-device.js'
import { addEmuFault } from './emu-fault.js'
import { addEmuMemory } from './emu-memory.js'
import { addEmuQueue } from './emu-queue.js'

const WAIT_MS_DEFAULT = 10_000

function onOff(on: boolean | undefined): string {
  return on === true ? 'on' : 'off'
}

function stateFacts(state: EmulatorState): Fact[] {
  const { switches, healthReason, faults, faultsLost, queueProblem } = state
  const caches = state.caches.map(({ name, device, entries, capacity, evicted }): Fact => {
    const whose = device === '' ? name : `${name} of ${idOf(device)}`
    return [whose, `${entries} of ${capacity} entries, ${evicted} evicted`]
  })
  return [
    ['health', healthReason === '' ? state.health : `${state.health}: ${healthReason}`],
    ['CAP_REG', hex(state.capReg)],
    ['ECAP_REG', hex(state.ecapReg)],
    ['root table', hex(state.rootTable)],
    ['caching-mode', onOff(switches?.cachingMode)],
    ['eviction', onOff(switches?.eviction)],
    ['operation-log', onOff(switches?.operationLog)],
    ['faults', `${faults} recorded, ${faultsLost} of them no longer kept`],
    ['queue', queueProblem === '' ? 'takes descriptors' : `stands: ${queueProblem}`],
    ...caches,
  ]
}

async function status({ client, output, format }: Work): Promise<void> {
  const state = await client.emulator.state()
  if (format === 'json') return writeJsonObject(output, state)
  return writeFacts(output, stateFacts(state))
}

const SWITCHES = {
  'caching-mode': 'cachingMode',
  eviction: 'eviction',
  'operation-log': 'operationLog',
} as const

async function switchTo(
  { client, output, format }: Work,
  settings: readonly string[],
  { flush = false }: { readonly flush?: boolean },
): Promise<void> {
  const named: Partial<Record<(typeof SWITCHES)[keyof typeof SWITCHES], boolean>> = {}
  for (const setting of settings) {
    const [name = '', value = ''] = setting.split('=', 2)
    const field = Object.hasOwn(SWITCHES, name)
      ? SWITCHES[name as keyof typeof SWITCHES]
      : undefined
    if (field === undefined || (value !== 'on' && value !== 'off')) {
      const names = Object.keys(SWITCHES).join(', ')
      throw new CliFailure(`${setting} is no NAME=on or NAME=off; names are ${names}`, EXIT.USAGE)
    }
    named[field] = value === 'on'
  }
  if (settings.length === 0 && !flush) {
    throw new CliFailure('name a switch, or --flush; emu status shows them', EXIT.USAGE)
  }
  const { switches } = await client.emulator.update({ ...named, flushCaches: flush })
  if (format === 'json') return writeJsonObject(output, switches)
  await writeFacts(output, [
    ['caching-mode', onOff(switches?.cachingMode)],
    ['eviction', onOff(switches?.eviction)],
    ['operation-log', onOff(switches?.operationLog)],
  ])
  if (flush) await output.write('the caches are empty\n')
}

interface AccessFlags {
  readonly write?: boolean
  readonly privileged?: boolean
}

/** Whether the tables support what the device got: 0; they do not: 1. */
async function translate(
  { client, output, format }: Work,
  [device, target, address]: readonly [string, number | 'rid', bigint],
  flags: AccessFlags,
): Promise<ExitCode> {
  const answer = await client.emulator.translate({ device, target, address, ...flags })
  if (format === 'json') await writeJsonObject(output, answer)
  else await writeFacts(output, translationFacts(answer))
  return answer.staleness === null ? EXIT.OK : EXIT.FAILED
}

interface PageRequestFlags extends AccessFlags {
  readonly group: number
  readonly read?: boolean
  readonly execute?: boolean
  readonly more?: boolean
  readonly wait?: number | true
}

async function pageRequest(
  { client, output, format }: Work,
  [device, target, address]: readonly [string, number | 'rid', bigint],
  { more = false, wait, ...flags }: PageRequestFlags,
): Promise<void> {
  const waitMs = wait === true ? WAIT_MS_DEFAULT : wait
  const access = { device, target, address, ...flags, last: !more, waitMs }
  const answer = await client.emulator.raisePageRequest(access)
  if (format === 'json') return writeJsonObject(output, answer)
  return output.write(`${answer.state}\n`)
}

interface DumpFlags {
  readonly first?: number
  readonly count?: number
  readonly walk?: bigint
}

async function dump(
  { client, output, format }: Work,
  device: string,
  { first, count, walk }: DumpFlags,
): Promise<void> {
  const options = { firstPasid: first, count, walkAddress: walk }
  const answer = await client.emulator.dumpTables(device, options)
  if (format === 'json') return writeJsonObject(output, answer)
  const lines = answer.lines.map((line) => `${printable(line)}\n`)
  if (answer.more) lines.push('there are more entries: --first, --count\n')
  return output.write(lines.join(''))
}

interface Done {
  readonly sequence: string
  readonly kind: string
  readonly text: string
}

const OPERATION_COLUMNS: readonly Column<Done>[] = [
  { title: 'NUMBER', text: (row) => row.sequence, right: true },
  { title: 'OPERATION', text: (row) => row.text },
]

interface KeptFlags {
  readonly after?: string
  readonly count?: number
}

async function log({ client, output, format }: Work, flags: KeptFlags): Promise<void> {
  const { operations, lost } = await client.emulator.listOperations(flags)
  if (format === 'json') return writeJsonObject(output, { operations, lost })
  if (lost !== '0') await output.write(`${lost} operations are no longer kept\n`)
  const pages = (async function* () {
    yield await Promise.resolve(operations)
  })()
  const all = { format, limit: Number.POSITIVE_INFINITY }
  return writeRows(output, pages, OPERATION_COLUMNS, all)
}

function addUnit(emu: Command, does: Does): void {
  emu.command('status').description('registers, caches, switches and health').action(does(status))
  emu
    .command('switch [settings...]')
    .description('caching-mode=on|off, eviction=on|off, operation-log=on|off')
    .option('--flush', 'empty every cache')
    .action(does((work, settings: string[], flags: object) => switchTo(work, settings, flags)))
  emu
    .command('dump <device>')
    .description("a device's remapping tables as they lie in memory")
    .option('--first <pasid>', 'the first PASID looked at; 0 is RID (0)', parseCount)
    .option('--count <entries>', 'present entries, at most: 1 to 1024 (64)', parseCount)
    .option('--walk <address>', "also walk the first entry's tables for this address", parseWord)
    .action(does((work, device: string, flags: DumpFlags) => dump(work, device, flags)))
  emu
    .command('log')
    .description('what was done to tables and caches (switch operation-log=on)')
    .option('--after <number>', 'only those after this number', parseRevision)
    .option('--count <rows>', 'at most so many: 1 to 1000 (100)', parseCount)
    .action(does((work, flags: KeptFlags) => log(work, flags)))
}

function addAccesses(emu: Command, does: Does): void {
  type Place = [device: string, target: number | 'rid', address: bigint]
  emu
    .command('translate')
    .description('one access of a device; exits 1 when the tables do not support the answer')
    .argument('<device>', 'name of the device')
    .argument('<target>', 'a PASID, or rid', parseTarget)
    .argument('<address>', 'as the device sends it', parseWord)
    .option('--write', 'a write; else a read')
    .option('--privileged', 'a supervisor request')
    .action(
      does((work, ...rest: [...Place, AccessFlags]) => {
        const [device, target, address, flags] = rest
        return translate(work, [device, target, address], flags)
      }),
    )
  emu
    .command('page-request')
    .description('a device asks for a page (PRI)')
    .argument('<device>', 'name of the device')
    .argument('<target>', 'a PASID, or rid', parseTarget)
    .argument('<address>', 'a multiple of 4096', parseWord)
    .requiredOption('--group <number>', 'page request group, 0 to 511', parseCount)
    .option('--read', 'to read')
    .option('--write', 'to write')
    .option('--execute', 'to execute')
    .option('--privileged', 'a supervisor request')
    .option('--more', 'the group is not complete with this one')
    .option('--wait [ms]', `until the device has its response (${WAIT_MS_DEFAULT} ms)`, parseMs)
    .action(
      does((work, ...rest: [...Place, PageRequestFlags]) => {
        const [device, target, address, flags] = rest
        return pageRequest(work, [device, target, address], flags)
      }),
    )
}

const EXAMPLES = `
Numbers are decimal, or hexadecimal with 0x.

Examples:
  pasidctl emu device create mdev9 --shared
  pasidctl emu memory map SESSION 0x0 0x100000 --zeros
  pasidctl emu memory write SESSION 0x1000 0x2003 0x0
  pasidctl emu translate mdev9 300 0x7000 --write
  pasidctl emu page-request mdev9 300 0x7000 --group 1 --read --wait
  pasidctl emu fault inject mdev9 --fail RETRY --effect bind
  pasidctl emu dump mdev9 --walk 0x7000`

export function addEmu(root: Command, does: Does): void {
  const emu = root
    .command('emu')
    .description("the emulator's laboratory: devices, memory, accesses, faults, tables")
    .addHelpText('after', EXAMPLES)
  addUnit(emu, does)
  addEmuDevice(emu, does)
  addEmuMemory(emu, does)
  addEmuQueue(emu, does)
  addAccesses(emu, does)
  addEmuFault(emu, does)
}
