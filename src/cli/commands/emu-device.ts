/** `emu device`: making a device of the emulator's, and resetting one. */

import { Option, type Command } from 'commander'
import { DEVICE_COLUMNS } from '../columns.js'
import { CliFailure, EXIT } from '../exits.js'
import { writeJsonObject } from '../facts.js'
import { parseCount, parseMs } from '../numbers.js'
import type { Does } from '../perform.js'
import { writeRows } from '../rows.js'
import type { Work } from '../settings.js'

interface CreateFlags {
  readonly platform: 'INTEL_VTD' | 'ARM_SMMUV3' | 'AMD'
  readonly scope: 'HOST' | 'DEVICE'
  readonly bits?: number
  readonly translation?: 'NONE' | 'MEDIATED'
  readonly shared?: boolean
  readonly group?: string
  readonly sourceId?: number
  readonly ats: boolean
  readonly pageRequests: boolean
}

async function create(work: Work, name: string, flags: CreateFlags): Promise<void> {
  const { client, output, format } = work
  const { translation, bits, sourceId, ats, pageRequests } = flags
  const { device } = await client.emulator.createDevice({
    name,
    platform: `PLATFORM_${flags.platform}`,
    scope: `SCOPE_${flags.scope}`,
    ...(bits !== undefined && { pasidBits: bits }),
    ...(translation !== undefined && { translation: `PASID_TRANSLATION_${translation}` as const }),
    shared: flags.shared ?? false,
    group: flags.group ?? '',
    ...(sourceId !== undefined && { sourceId }),
    ats,
    pageRequests,
  })
  if (device === null) throw new CliFailure('the daemon did not say what it made', EXIT.BUG)
  if (format === 'json') return writeJsonObject(output, device)
  const pages = (async function* () {
    yield await Promise.resolve([device])
  })()
  return writeRows(output, pages, DEVICE_COLUMNS, { format, limit: Number.POSITIVE_INFINITY })
}

async function reset(
  { client, output, format }: Work,
  name: string,
  { ms }: { readonly ms?: number },
): Promise<void> {
  const answer = await client.emulator.resetDevice(name, ms)
  if (format === 'json') return writeJsonObject(output, answer)
  return output.write(`resetting: ${answer.droppedPageRequests} page requests were dropped\n`)
}

export function addEmuDevice(emu: Command, does: Does): void {
  const device = emu.command('device').description('devices of the emulator')
  device
    .command('create <name>')
    .description('a new device, until the daemon ends')
    .addOption(
      new Option('--platform <name>', 'its IOMMU')
        .choices(['INTEL_VTD', 'ARM_SMMUV3', 'AMD'])
        .default('INTEL_VTD'),
    )
    .addOption(
      new Option('--scope <name>', 'numbering').choices(['HOST', 'DEVICE']).default('HOST'),
    )
    .option('--bits <number>', 'width of its PASIDs, 0 to 20 (20, AMD 16)', parseCount)
    .addOption(
      new Option(
        '--translation <name>',
        'who translates PASIDs (MEDIATED for a shared device, else NONE)',
      ).choices(['NONE', 'MEDIATED']),
    )
    .option('--shared', 'several sessions may attach it')
    .option('--group <name>', 'its IOMMU group (its own)')
    .option(
      '--source-id <number>',
      'bus, device and function, 0 to 0xffff (a free one)',
      parseCount,
    )
    .option('--no-ats', 'it has no device-TLB')
    .option('--no-page-requests', 'it raises no page requests')
    .action(does((work, name: string, flags: CreateFlags) => create(work, name, flags)))
  device
    .command('reset <name>')
    .description('FLR: bindings stand, the device-TLB is empty, binds are refused meanwhile')
    .option('--ms <number>', 'how long it takes, 0 to 60000 (100)', parseMs)
    .action(does((work, name: string, flags: object) => reset(work, name, flags)))
}
