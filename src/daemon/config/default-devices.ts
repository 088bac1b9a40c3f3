/** The emulator's devices when the configuration names none: one of each kind that a VMM meets. */

import { PLATFORM_DEFAULTS, type DeviceFacts, type Scope } from '../../core/device.js'

const VTD = {
  ...PLATFORM_DEFAULTS.INTEL_VTD,
  platform: 'INTEL_VTD',
  supervisorRequests: true,
  extendedAccessed: true,
  hitlessReplace: false,
  pageRequests: false,
  ats: true,
} as const

export const DEFAULT_DEVICES: readonly DeviceFacts[] = [
  // Work queues that several VMs share, as with mdev and scalable IOV.
  { ...VTD, name: 'emu0', translation: 'MEDIATED', shared: true },
  // A physical function: the guest's number is the number on the wire.
  { ...VTD, name: 'emu1', translation: 'NONE', shared: false },
]

/** The guest of a whole function picks its own numbers: they are the device's, not the host's. */
export const DEFAULT_SCOPES: ReadonlyMap<string, Scope> = new Map([
  ['emu0', 'HOST'],
  ['emu1', 'DEVICE'],
])
