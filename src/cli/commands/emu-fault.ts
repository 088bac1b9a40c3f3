/** `emu fault`: failures that are ordered in advance, and faults that the unit recorded. */

import { Option, type Command } from 'commander'
import { FAULT_COLUMNS, watchedFaultText } from '../emulator-text.js'
import { CliFailure, EXIT } from '../exits.js'
import { writeJsonObject } from '../facts.js'
import { jsonText } from '../json.js'
import { parseCount, parseMs } from '../numbers.js'
import type { Does } from '../perform.js'
import { printable, writeRows } from '../rows.js'
import { parseRevision, type Work } from '../settings.js'

interface InjectFlags {
  readonly fail?: string
  readonly slow?: number
  readonly dead?: boolean
  readonly health?: string
  readonly effect?: string
  readonly skip?: number
  readonly times?: number
  readonly afterTeardown?: boolean
}

async function inject(
  { client, output, format }: Work,
  device: string | undefined,
  { slow, effect = '', skip = 0, times = 0, afterTeardown = false, ...fault }: InjectFlags,
): Promise<void> {
  const kinds = [slow, fault.fail, fault.dead, fault.health].filter((kind) => kind !== undefined)
  if (kinds.length !== 1) {
    const text = 'say what happens: --fail, --slow, --dead or --health; one of them'
    throw new CliFailure(text, EXIT.USAGE)
  }
  const when = { effect, skip, times, afterTeardown }
  const answer = await client.emulator.injectFault({ device, slowMs: slow, ...fault, ...when })
  if (format === 'json') return writeJsonObject(output, answer)
  return output.write(`ordered for ${device ?? 'the backend'}\n`)
}

async function clear({ client, output, format }: Work, device: string | undefined): Promise<void> {
  const answer = await client.emulator.clearFaults(device)
  if (format === 'json') return writeJsonObject(output, answer)
  const what = device ?? 'all devices, and the backend is READY'
  return output.write(`cleared: ${what}\n`)
}

interface KeptFlags {
  readonly after?: string
  readonly count?: number
}

async function list(
  { client, output, format }: Work,
  device: string | undefined,
  flags: KeptFlags,
): Promise<void> {
  const { faults, lost } = await client.emulator.listFaults(device, flags)
  if (format === 'json') return writeJsonObject(output, { faults, lost })
  if (lost !== '0') await output.write(`${lost} faults are no longer kept\n`)
  const pages = (async function* () {
    yield await Promise.resolve(faults)
  })()
  return writeRows(output, pages, FAULT_COLUMNS, { format, limit: Number.POSITIVE_INFINITY })
}

async function watch(
  { client, output, format, terminal }: Work,
  device: string | undefined,
): Promise<void> {
  const stream = client.emulator.watchFaults(device)
  const person = { wantsEnd: false }
  const forget = terminal.onInterrupt(() => {
    person.wantsEnd = true
    stream.cancel()
  })
  try {
    for await (const response of stream) {
      const text = format === 'json' ? jsonText(response) : printable(watchedFaultText(response))
      await output.write(`${text}\n`)
    }
  } finally {
    forget()
  }
  if (!person.wantsEnd) throw new CliFailure('the daemon ended the watch', EXIT.UNAVAILABLE)
}

function addOrders(fault: Command, does: Does): void {
  fault
    .command('inject [device]')
    .description('order a failure; without a device of the whole backend (--health)')
    .addOption(new Option('--fail <kind>', 'effects fail').choices(['RETRY', 'REFUSE', 'STOP']))
    .option('--slow <ms>', 'each effect takes so long, 1 to 60000', parseMs)
    .option('--dead', 'the device is gone for good')
    .addOption(
      new Option('--health <state>', 'of the backend').choices(['READY', 'DEGRADED', 'DEAD']),
    )
    .option(
      '--effect <name>',
      'attachDevice, detachDevice, bind, replace, unbind, invalidate or respond (any)',
    )
    .option('--skip <number>', 'effects that are left alone first (0)', parseCount)
    .option('--times <number>', 'effects that it meets (fail: 1; slow: until cleared)', parseCount)
    .option('--after-teardown', 'in a replace: when the old table is torn down')
    .action(
      does((work, device: string | undefined, flags: InjectFlags) => {
        return inject(work, device, flags)
      }),
    )
  fault
    .command('clear [device]')
    .description('take back what was ordered; without a device, all of it')
    .action(does((work, device: string | undefined) => clear(work, device)))
}

export function addEmuFault(emu: Command, does: Does): void {
  const fault = emu.command('fault').description('failures to order, faults that were recorded')
  addOrders(fault, does)
  fault
    .command('list [device]')
    .description('faults that the unit recorded, oldest first')
    .option('--after <number>', 'only those after this number', parseRevision)
    .option('--count <rows>', 'at most so many: 1 to 1000 (100)', parseCount)
    .action(
      does((work, device: string | undefined, flags: KeptFlags) => {
        return list(work, device, flags)
      }),
    )
  fault
    .command('watch [device]')
    .description('faults as they happen, until Ctrl-C')
    .action(does((work, device: string | undefined) => watch(work, device)))
}
