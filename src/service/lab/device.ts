/** Devices of the emulator: making one, resetting it. */

import type { LabDevice } from '../../backend/lab.js'
import { PLATFORM_DEFAULTS, type Platform, type Scope } from '../../core/device.js'
import { PASID_BITS_MAX } from '../../core/ids.js'
import type { Outcome } from '../../core/refusal.js'
import { quoted } from '../../wire/quote.js'
import type { LabRequest } from '../../wire/messages.js'
import { durationOf } from '../convert/duration.js'
import { Fields } from '../convert/fields.js'
import { atMost } from './names.js'

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const LABEL_BOUND = 'a name of 1 to 63 characters a-z, 0-9 and inner -'
const GROUP = /^[a-z0-9.:-]{1,63}$/
const SOURCE_ID_LAST = 0xffff
/** PCIe: what a function may take for an FLR. */
const RESET_MS_DEFAULT = 100
const RESET_MS_MAX = 60_000

const PLATFORMS: Readonly<Record<LabRequest<'CreateDevice'>['platform'], Platform>> = {
  PLATFORM_UNSPECIFIED: 'INTEL_VTD',
  PLATFORM_INTEL_VTD: 'INTEL_VTD',
  PLATFORM_ARM_SMMUV3: 'ARM_SMMUV3',
  PLATFORM_AMD: 'AMD',
}

export interface DeviceAsked {
  readonly device: LabDevice
  readonly scope: Scope
}

export function newDeviceOf(message: LabRequest<'CreateDevice'>): Outcome<DeviceAsked> {
  const fields = new Fields()
  const { name, shared, pasidBits, sourceId, group } = message
  if (name === '') fields.missing('name', LABEL_BOUND)
  else if (!LABEL.test(name)) {
    fields.no('name', quoted(name), LABEL_BOUND, 'send it without devices/')
  }
  if (group !== '' && !GROUP.test(group)) {
    fields.no(
      'group',
      quoted(group),
      '1 to 63 characters a-z, 0-9, . : -',
      'leave it out for one of its own',
    )
  }
  const scope: Scope = message.scope === 'SCOPE_DEVICE' ? 'DEVICE' : 'HOST'
  if (shared && scope === 'DEVICE') {
    fields.no('shared', 'true', 'false in DEVICE scope', 'leave it out, or set scope to SCOPE_HOST')
  }
  if (shared && group !== '') {
    // Who shares a device trusts the parent driver to keep sessions apart, not the group.
    fields.no('group', quoted(group), 'empty for a shared device', 'leave it out')
  }
  const platform = PLATFORMS[message.platform]
  const isVtd = platform === 'INTEL_VTD'
  const defaults = PLATFORM_DEFAULTS[platform]
  const device: LabDevice = {
    name,
    ...defaults,
    pasidBits: atMost(fields, 'pasid_bits', pasidBits ?? defaults.pasidBits, PASID_BITS_MAX),
    translation: translationOf(message.translation, shared),
    shared,
    platform,
    supervisorRequests: isVtd,
    extendedAccessed: isVtd,
    hitlessReplace: false,
    pageRequests: message.pageRequests ?? true,
    ats: message.ats ?? true,
    ...(group !== '' && { group }),
    sourceId:
      sourceId === undefined ? undefined : atMost(fields, 'source_id', sourceId, SOURCE_ID_LAST),
  }
  return fields.answer({ device, scope })
}

function translationOf(
  asked: LabRequest<'CreateDevice'>['translation'],
  shared: boolean,
): LabDevice['translation'] {
  if (asked === 'PASID_TRANSLATION_NONE') return 'NONE'
  if (asked === 'PASID_TRANSLATION_MEDIATED') return 'MEDIATED'
  return shared ? 'MEDIATED' : 'NONE'
}

export function resetOf(
  message: LabRequest<'ResetDevice'>,
): Outcome<{ readonly device: string; readonly ms: number }> {
  const fields = new Fields()
  const device = fields.name('device', message.device, 'devices')
  const asked = durationOf(fields, 'duration', message.duration, RESET_MS_MAX)
  return fields.answer({ device, ms: message.duration === null ? RESET_MS_DEFAULT : asked })
}

/** For the audit. */
export function newDeviceText({ device, scope }: DeviceAsked): string {
  const { platform, pasidBits, translation, shared, group } = device
  const facts = `${platform}, ${scope} scope, ${pasidBits} bits, translation ${translation}`
  const more = `${shared ? ', shared' : ''}${group === undefined ? '' : `, group ${group}`}`
  return `CreateDevice: ${facts}${more}`
}
