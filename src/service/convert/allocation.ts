/** PASIDs: asking for them, giving them back, and what is seen of them. */

import type { AllocatedPasids, FreedPasids } from '../../broker/answers.js'
import type { AllocatePasids, FreePasids } from '../../core/commands.js'
import { PASID_LAST, type Pasid, type SessionId } from '../../core/ids.js'
import { DEVICES_PER_CALL_MAX, NUMBERS_PER_CALL_MAX } from '../../core/limits.js'
import type { PasidRange } from '../../core/range.js'
import type { Outcome } from '../../core/refusal.js'
import type { AllocationView, HeadroomView } from '../../core/view.js'
import type { Allocation } from '../../wire/generated/pasid/v1/Allocation.js'
import type { Headroom } from '../../wire/generated/pasid/v1/Headroom.js'
import type { VmmRequest, VmmResponse } from '../../wire/messages.js'
import { bindingProto } from './binding.js'
import { Fields } from './fields.js'
import { labelsOf } from './labels.js'
import { requestKey } from './request-key.js'
import { deviceName, scopeOf, scopeProto } from './scope.js'
import { timestamp } from './time.js'

const WHOLE: PasidRange = { first: 1, last: PASID_LAST }
const ONE: AllocatePasids['ask'] = { kind: 'ONE' }

export function allocateOf(
  session: SessionId,
  message: VmmRequest<'AllocatePasids'>,
): Outcome<AllocatePasids> {
  const fields = new Fields()
  const asked = {
    scope: scopeOf(fields, message.scope, message.device),
    ask: askOf(fields, message),
    range: minMaxOf(fields, message.min, message.max),
    devices: fields.devices('devices', message.devices, DEVICES_PER_CALL_MAX),
    labels: labelsOf(fields, message.labels),
  }
  const request = requestKey(fields, message.requestId, asked)
  return fields.answer({ verb: 'allocate', session, ...asked, request })
}

function askOf(fields: Fields, message: VmmRequest<'AllocatePasids'>): AllocatePasids['ask'] {
  if (message.ask === 'one') return ONE
  if (message.ask === 'block') {
    const size = message.block?.size ?? 0
    const order = 31 - Math.clz32(size)
    if (size === 0 || size > NUMBERS_PER_CALL_MAX || 2 ** order !== size) {
      const bound = `a power of two from 1 to ${NUMBERS_PER_CALL_MAX}`
      fields.no('block.size', String(size), bound, 'round up, or ask for several blocks')
    }
    return { kind: 'BLOCK', order }
  }
  if (message.ask === 'exact') {
    return { kind: 'EXACT', pasids: numbersOf(fields, 'exact.pasids', message.exact?.pasids ?? []) }
  }
  fields.missing('ask', 'one of one, block, exact')
  return ONE
}

/** 1 to 4096 numbers in any order; answers them ascending. */
function numbersOf(fields: Fields, field: string, values: readonly number[]): readonly Pasid[] {
  if (values.length === 0) fields.missing(field, `1 to ${NUMBERS_PER_CALL_MAX} PASIDs`)
  fields.count(field, values.length, NUMBERS_PER_CALL_MAX, 'PASIDs')
  let sorted = true
  for (let i = 0; i < values.length && fields.ok; i += 1) {
    const value = values[i] ?? 0
    if (value < 1 || value > PASID_LAST) fields.pasid(`${field}[${i}]`, value)
    if (i > 0 && value <= (values[i - 1] ?? 0)) sorted = false
  }
  if (sorted) return values as readonly Pasid[]
  const ascending = [...values].sort((a, b) => a - b)
  const again = ascending.findIndex((value, i) => i > 0 && value === ascending[i - 1])
  if (again !== -1) {
    fields.no(field, `${ascending[again] ?? 0} again`, 'none twice', 'name each once')
  }
  return ascending as Pasid[]
}

function minMaxOf(fields: Fields, min: number | undefined, max: number | undefined): PasidRange {
  if (min === undefined && max === undefined) return WHOLE
  const first = min === undefined ? 1 : fields.pasid('min', min)
  const last = max === undefined ? PASID_LAST : fields.pasid('max', max)
  if (first > last) {
    fields.no('min', `${first}, above max ${last}`, 'min <= max', 'swap them, or widen the range')
  }
  return { first, last }
}

export function freeOf(session: SessionId, message: VmmRequest<'FreePasids'>): Outcome<FreePasids> {
  const fields = new Fields()
  const asked = {
    scope: scopeOf(fields, message.scope, message.device),
    what: whatOf(fields, message),
  }
  const request = requestKey(fields, message.requestId, asked)
  return fields.answer({ verb: 'free', session, ...asked, request })
}

function whatOf(fields: Fields, message: VmmRequest<'FreePasids'>): FreePasids['what'] {
  if (message.what === 'range') {
    const first = fields.pasid('range.first', message.range?.first ?? 0)
    const last = fields.pasid('range.last', message.range?.last ?? 0)
    if (first > last) {
      const value = `${first}, above range.last ${last}`
      fields.no('range.first', value, 'range.first <= range.last', 'swap them')
    }
    return { kind: 'RANGE', range: { first, last } }
  }
  if (message.what === undefined) fields.missing('what', 'one of pasids, range')
  const pasids = numbersOf(fields, 'pasids.pasids', message.pasids?.pasids ?? [])
  return { kind: 'NUMBERS', pasids }
}

export function allocatedProto(answer: AllocatedPasids): VmmResponse<'AllocatePasids'> {
  return {
    ranges: answer.runs.map(({ first, count }) => ({ first, last: first + count - 1 })),
    generation: answer.generation,
    headroom: headroomProto(answer.headroom),
  }
}

export function freedProto(answer: FreedPasids): VmmResponse<'FreePasids'> {
  const { freed, durable, headroom } = answer
  return { freed, durable, ...(headroom !== undefined && { headroom: headroomProto(headroom) }) }
}

export function headroomProto(view: HeadroomView): Headroom {
  const { session, tenant, scope } = view
  return tenant === undefined ? { session, scope } : { session, tenant, scope }
}

const STATES = {
  IDLE: 'ALLOCATION_STATE_IDLE',
  ACTIVE: 'ALLOCATION_STATE_ACTIVE',
  FREE_PENDING: 'ALLOCATION_STATE_FREE_PENDING',
  QUARANTINED: 'ALLOCATION_STATE_QUARANTINED',
} as const

export function allocationProto(view: AllocationView): Allocation {
  return {
    pasid: view.pasid,
    scope: scopeProto(view.scope),
    device: deviceName(view.device),
    state: STATES[view.state],
    session: view.session === '' ? '' : `sessions/${view.session}`,
    tenant: `tenants/${view.tenant}`,
    generation: view.generation,
    grantTime: timestamp(view.grantedAt),
    labels: view.labels,
    bindings: view.bindings.map(bindingProto),
  }
}
