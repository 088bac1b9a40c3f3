/**
 * The backend and its devices: from the entries of the file to those in force, and what must hold
 * between them. Each check answers with problems and changes nothing.
 */

import { PLATFORM_DEFAULTS } from '../../core/device.js'
import type { BackendConfig, ConfiguredDevice, NativeDevice } from './config.js'
import { DEFAULT_DEVICES } from './default-devices.js'
import type { Document, Entries, Problem } from './document.js'
import type { DeviceEntry, NativeDeviceEntry } from './schema.js'

const CALL_DEADLINE_MS_DEFAULT = 5000
const THREADS_PER_SESSION_DEFAULT = 16

/** Keys of `[backend]` that say nothing of the emulator. */
const NATIVE_KEYS = ['call_deadline', 'threads_per_session'] as const

export function backendOf({ backend, devices }: Document): BackendConfig {
  if (devices?.kind !== 'native') {
    const entries = devices?.kind === 'emulator' ? devices.entries.valid : undefined
    return {
      kind: 'emulator',
      devices: entries?.map(({ value }) => emulatedOf(value)) ?? DEFAULT_DEVICES,
    }
  }
  return {
    kind: 'native',
    devices: devices.entries.valid.map(({ value }) => nativeOf(value)),
    callDeadlineMs: backend.call_deadline ?? CALL_DEADLINE_MS_DEFAULT,
    threadsPerSession: backend.threads_per_session ?? THREADS_PER_SESSION_DEFAULT,
  }
}

function nativeOf({ name, address }: NativeDeviceEntry): NativeDevice {
  return { name, address }
}

function emulatedOf(entry: DeviceEntry): ConfiguredDevice {
  const defaults = PLATFORM_DEFAULTS[entry.platform]
  return {
    name: entry.name,
    pasidBits: entry.pasid_bits ?? defaults.pasidBits,
    translation: entry.translation,
    shared: entry.shared,
    group: entry.group,
    platform: entry.platform,
    addressWidths: entry.address_widths ?? defaults.addressWidths,
    supervisorRequests: entry.supervisor_requests,
    extendedAccessed: entry.extended_accessed,
    passThrough: entry.pass_through ?? defaults.passThrough,
    hitlessReplace: entry.hitless_replace,
    pageRequests: entry.page_requests,
    ats: entry.ats,
    sourceId: entry.source_id,
  }
}

export function checkBackend(document: Document): Problem[] {
  const { backend, devices } = document
  const names = devices?.entries.names.size ?? 0
  const count = names + (devices?.entries.valid.length ?? 0)
  const keys = backend.kind === 'native' ? [] : checkNativeKeys(document)
  if (backend.kind === 'native' && devices === undefined) {
    const text = 'is "native", but no device is named; add a [[backend.device]] with its address'
    return [{ path: ['backend', 'kind'], text }]
  }
  if (devices !== undefined && count === 0) {
    const orLeave = backend.kind === 'native' ? '' : ', or leave it out for emu0 and emu1'
    const text = `is an empty list; name a device${orLeave}`
    return [...keys, { path: ['backend', 'device'], text }]
  }
  return [...keys, ...checkDevices(document)]
}

function checkNativeKeys({ backend }: Document): Problem[] {
  return NATIVE_KEYS.filter((key) => backend[key] !== undefined).map((key) => {
    const text = 'is about system calls, and the emulator makes none; leave it out'
    return { path: ['backend', key], text }
  })
}

function checkDevices({ devices }: Document): Problem[] {
  if (devices?.kind === 'emulator') return checkEmulated(devices.entries)
  return devices?.kind === 'native' ? checkNative(devices.entries) : []
}

/** Each address once. */
function checkNative({ valid }: Entries<NativeDeviceEntry>): Problem[] {
  const problems: Problem[] = []
  const names = new Map<string, string>()
  for (const { value, path } of valid) {
    const taken = names.get(value.address)
    if (taken !== undefined) {
      const text = `is "${value.address}", which "${taken}" has already; choose another`
      problems.push({ path: [...path, 'address'], text })
    }
    names.set(value.address, value.name)
  }
  return problems
}

/** What the fields of one device say together; and each source id once. */
function checkEmulated({ valid }: Entries<DeviceEntry>): Problem[] {
  const problems: Problem[] = []
  const sourceIds = new Map<number, string>()
  for (const { value, path } of valid) {
    const say = (key: string, text: string) => problems.push({ path: [...path, key], text })
    if (value.shared && value.group !== undefined) {
      const text = `is "${value.group}", but a shared device is a group of its own; leave it out`
      say('group', text)
    }
    if (value.shared && value.scope === 'DEVICE') {
      say('scope', 'is "DEVICE", but a shared device’s numbers are in HOST scope; leave it out')
    }
    const taken = value.source_id === undefined ? undefined : sourceIds.get(value.source_id)
    if (taken !== undefined) {
      const text = `is ${value.source_id}, which "${taken}" has already; choose another`
      say('source_id', text)
    }
    if (value.source_id !== undefined) sourceIds.set(value.source_id, value.name)
    const widths = value.address_widths ?? []
    if (value.platform !== 'INTEL_VTD' && widths.length > 0) {
      const text = `is [${widths.join(', ')}], but on ${value.platform} the guest owns the table`
      say('address_widths', `${text}: nothing is bound per PASID; leave it out`)
    }
    if (new Set(widths).size !== widths.length) say('address_widths', 'names one width twice')
  }
  return problems
}
