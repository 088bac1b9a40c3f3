/**
 * What a ledger would hand over, made from the naive model and from nothing else; and of a state,
 * for tests that have no model.
 */

import type { DeviceId, SessionId, TenantId } from '../../src/core/ids.js'
import type { AllocationColumns, Image, RequestColumns } from '../../src/core/image.js'
import type { Namespace } from '../../src/core/namespace.js'
import type { Labels } from '../../src/core/session.js'
import type { State } from '../../src/core/state.js'
import type { Model, ModelNumber, ModelRequest } from './model.js'

/** The values that a ledger stores, said again here. */
const SLOTS = { HELD: 1, PENDING: 2, RESTING: 3 } as const
const METHODS = ['OpenSession', 'AllocatePasids', 'FreePasids', 'AttachDevice', 'DetachDevice']

export function imageOf(model: Model): Image {
  const { live } = model
  const rows: { namespace: number; pasid: number; number: ModelNumber }[] = []
  const labels = new Map<number, Labels>()
  for (const [namespace, numbers] of live.numbers) {
    for (const [pasid, number] of numbers) {
      rows.push({ namespace, pasid, number })
      const named = live.labels.get(number.generation)
      if (named !== undefined) labels.set(number.generation, named)
    }
  }
  rows.sort((a, b) => a.namespace - b.namespace || a.pasid - b.pasid)
  const sessions = [...live.sessions.values()]
  sessions.sort((a, b) => a.record.id - b.record.id)
  return {
    revision: model.revision,
    lastSession: Math.max(0, ...model.sessionIds),
    tenants: model.tenants.map(({ id, name }) => {
      return { id: id as TenantId, name, override: live.overrides.get(id) }
    }),
    devices: model.devices.map(({ id, name }) => ({ id: id as DeviceId, name })),
    sessions: sessions.map(({ record }) => record),
    attachments: sessions.flatMap(({ record, attachments }) => {
      return [...attachments].map(([device, { state }]) => {
        return { session: record.id, device: device as DeviceId, state }
      })
    }),
    allocations: allocationsOf(rows),
    labels,
    bindings: live.bindings.map(({ is }) => is),
    requests: requestsOf(model),
  }
}

function allocationsOf(
  rows: readonly { namespace: number; pasid: number; number: ModelNumber }[],
): AllocationColumns {
  return {
    count: rows.length,
    namespace: Uint16Array.from(rows, ({ namespace }) => namespace),
    pasid: Uint32Array.from(rows, ({ pasid }) => pasid),
    slot: Uint8Array.from(rows, ({ number }) => SLOTS[number.state]),
    session: Uint32Array.from(rows, ({ number }) => number.session),
    tenant: Uint16Array.from(rows, ({ number }) => number.tenant),
    generation: Float64Array.from(rows, ({ number }) => number.generation),
    at: Float64Array.from(rows, ({ number }) => number.at),
  }
}

function requestsOf(model: Model): RequestColumns {
  const rows: { session: SessionId | 0; tenant: number; request: ModelRequest }[] = []
  for (const { record, requests } of model.live.sessions.values()) {
    const { id: session, tenant } = record
    for (const request of requests) rows.push({ session, tenant, request })
  }
  for (const [tenant, requests] of model.live.tenantRequests) {
    for (const request of requests) rows.push({ session: 0, tenant, request })
  }
  return {
    count: rows.length,
    session: Uint32Array.from(rows, ({ session }) => session),
    tenant: Uint16Array.from(rows, ({ tenant }) => tenant),
    method: Uint8Array.from(rows, ({ request }) => METHODS.indexOf(request.method)),
    idHigh: Uint32Array.from(rows, ({ request }) => request.key.idHigh),
    idLow: Uint32Array.from(rows, ({ request }) => request.key.idLow),
    fingerprintHigh: Uint32Array.from(rows, ({ request }) => request.key.fingerprintHigh),
    fingerprintLow: Uint32Array.from(rows, ({ request }) => request.key.fingerprintLow),
    at: Float64Array.from(rows, ({ request }) => request.at),
    answer: Float64Array.from(rows, ({ request }) => request.answer),
    revision: Float64Array.from(rows, ({ request }) => request.revision),
  }
}

/** Without its requests. */
export function imageOfState(state: State): Image {
  const rows: { namespace: Namespace; pasid: number }[] = []
  for (const namespace of [...state.namespaces.values()].sort((a, b) => a.id - b.id)) {
    for (let n = namespace.nextKnown(0); n !== undefined; n = namespace.nextKnown(n)) {
      rows.push({ namespace, pasid: n })
    }
  }
  const holders = rows.map(({ namespace, pasid }) => namespace.holderOf(pasid))
  const sessions = [...state.sessions.values()]
  const none = { session: new Uint32Array(0), tenant: new Uint16Array(0) }
  const hashes = { idHigh: none.session, idLow: none.session }
  const fingerprints = { fingerprintHigh: none.session, fingerprintLow: none.session }
  const facts = {
    at: new Float64Array(0),
    answer: new Float64Array(0),
    revision: new Float64Array(0),
  }
  return {
    revision: state.revision,
    lastSession: state.nextSession - 1,
    tenants: [...state.tenants.values()].map(({ id, name, override }) => ({ id, name, override })),
    devices: [...state.devices.values()].map(({ id, name }) => ({ id, name })),
    sessions: sessions.map(({ record }) => record),
    attachments: sessions.flatMap(({ record, attachments }) => {
      return [...attachments].map(([device, { state: is }]) => {
        return { session: record.id, device, state: is }
      })
    }),
    allocations: {
      count: rows.length,
      namespace: Uint16Array.from(rows, ({ namespace }) => namespace.id),
      pasid: Uint32Array.from(rows, ({ pasid }) => pasid),
      slot: Uint8Array.from(rows, ({ namespace, pasid }) => namespace.slotOf(pasid)),
      session: Uint32Array.from(holders, ({ session }) => session),
      tenant: Uint16Array.from(holders, ({ tenant }) => tenant),
      generation: Float64Array.from(holders, ({ generation }) => generation),
      at: Float64Array.from(holders, ({ at }) => at),
    },
    labels: new Map([...state.labels].map(([id, { labels }]) => [id, labels])),
    bindings: [...state.bindings.values()],
    requests: {
      count: 0,
      ...none,
      method: new Uint8Array(0),
      ...hashes,
      ...fingerprints,
      ...facts,
    },
  }
}
