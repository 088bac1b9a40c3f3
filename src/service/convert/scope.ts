/** Scopes: which numbering a request speaks of. */

import type { ScopeName } from '../../core/commands.js'
import { quoted } from '../../wire/quote.js'
import type { Scope__Output } from '../../wire/generated/pasid/v1/Scope.js'
import type { Fields } from './fields.js'

const HOST: ScopeName = { kind: 'HOST' }

/** Unspecified is HOST. A device is named in DEVICE scope and only there. */
export function scopeOf(fields: Fields, scope: Scope__Output, device: string): ScopeName {
  if (scope === 'SCOPE_DEVICE') {
    return { kind: 'DEVICE', device: fields.name('device', device, 'devices') }
  }
  if (device !== '') {
    const remedy = 'leave it out, or set scope to SCOPE_DEVICE'
    fields.no('device', quoted(device), 'empty in HOST scope', remedy)
  }
  return HOST
}

export function scopeProto(scope: 'HOST' | 'DEVICE'): 'SCOPE_HOST' | 'SCOPE_DEVICE' {
  return scope === 'HOST' ? 'SCOPE_HOST' : 'SCOPE_DEVICE'
}

/** `devices/{name}`, or empty for none. */
export function deviceName(name: string): string {
  return name === '' ? '' : `devices/${name}`
}
