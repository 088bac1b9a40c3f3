/**
 * Which scope each device's numbers are in: as its own entry says, or the tenants that may attach
 * it. They must agree.
 */

import type { Scope } from '../../core/device.js'
import { frozenMap, type Config } from './config.js'
import { DEFAULT_DEVICES, DEFAULT_SCOPES } from './default-devices.js'
import type { Document, Problem } from './document.js'
import { didYouMean } from './nearest.js'

interface Known {
  readonly name: string
  readonly shared: boolean
  /** As its own entry says. */
  readonly scope?: Scope | undefined
}

/** Devices with nothing wrong. */
function knownDevices({ devices }: Document): readonly Known[] {
  if (devices === undefined) return DEFAULT_DEVICES
  if (devices.kind === 'emulator') return devices.entries.valid.map(({ value }) => value)
  if (devices.kind === 'UNKNOWN') return []
  return devices.entries.valid.map(({ value: { name, scope } }) => ({ name, scope, shared: false }))
}

/** What devices say of themselves, for tenants that do not say it. */
export function ownScopes(document: Document): ReadonlyMap<string, Scope> {
  const known = knownDevices(document)
  return new Map(known.flatMap(({ name, scope }) => (scope ? [[name, scope] as const] : [])))
}

/** Of every device of the backend; one that nobody says anything of is in HOST scope. */
export function scopesOf(document: Document): Config['scopes'] {
  const own = ownScopes(document)
  const named = new Map<string, Scope>()
  for (const { value } of document.tenants.valid) {
    for (const { name, scope } of value.devices ?? []) {
      named.set(name, scope ?? own.get(name) ?? 'HOST')
    }
  }
  const defaults = document.devices === undefined ? DEFAULT_SCOPES : own
  return frozenMap(
    knownDevices(document).map(({ name }) => [
      name,
      named.get(name) ?? defaults.get(name) ?? 'HOST',
    ]),
  )
}

interface Use {
  readonly scope: Scope
  readonly tenant: string
}

/** Tenants name devices that exist, once each, and agree on the scope. */
export function checkScopes(document: Document): Problem[] {
  const known = knownDevices(document)
  const names = document.devices?.entries.names ?? new Set(known.map(({ name }) => name))
  const shared = new Set(known.filter((one) => one.shared).map(({ name }) => name))
  const own = ownScopes(document)
  const uses = new Map<string, Use>()
  const problems: Problem[] = []
  for (const tenant of document.tenants.valid) {
    const seen = new Set<string>()
    for (const [index, { name, scope: said }] of (tenant.value.devices ?? []).entries()) {
      const path = [...tenant.path, 'devices', index]
      const say = (key: string, text: string) => problems.push({ path: [...path, key], text })
      if (!names.has(name)) {
        const advice = didYouMean(name, [...names])
        say('name', `is "${name}", which the backend does not have; ${advice}`)
      }
      if (seen.has(name)) say('name', `is "${name}" a second time; name it once`)
      seen.add(name)
      const itself = own.get(name)
      const scope = said ?? itself ?? 'HOST'
      const before = uses.get(name)
      if (before !== undefined && before.scope !== scope && before.tenant !== tenant.value.name) {
        const other = `tenant "${before.tenant}" has it in ${before.scope}`
        say('scope', `is "${scope}" for "${name}", but ${other}; a device is in one scope`)
      } else if (itself !== undefined && itself !== scope) {
        const text = `is "${scope}" for "${name}", whose own entry says "${itself}"`
        say('scope', `${text}; leave it out here, or there`)
      }
      if (scope === 'DEVICE' && shared.has(name)) {
        say('scope', `is "DEVICE" for "${name}", which is shared; its numbers are in HOST scope`)
      }
      if (before === undefined) uses.set(name, { scope, tenant: tenant.value.name })
    }
  }
  return problems
}
