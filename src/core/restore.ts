/** The state of what a ledger handed over. Pairs with `apply`: both end in the same state. */

import { assert } from './assert.js'
import type { Device, DeviceFacts, Scope } from './device.js'
import {
  namespaceId,
  type DeviceId,
  type Generation,
  type InstantMs,
  type NamespaceId,
  PASID_BITS_MAX,
  type SessionId,
  type TenantId,
  type WallMs,
} from './ids.js'
import { apply, restoreBinding } from './apply.js'
import type { AllocationColumns, Image, RequestColumns } from './image.js'
import { Namespace, SLOT, type Slot } from './namespace.js'
import type { PasidRun } from './range.js'
import { REQUEST_METHODS, type RequestRecord } from './requests.js'
import { State, type Policy } from './state.js'

export interface DescribedDevice {
  /** Undefined: the backend does not know it now. */
  readonly facts: DeviceFacts | undefined
  readonly scope: Scope
}

export function restore(
  image: Image,
  policy: Policy,
  devices: ReadonlyMap<string, DescribedDevice>,
  now: InstantMs,
): State {
  const state = new State(policy)
  state.durable = image.revision
  for (const { id, name, override } of image.tenants) state.newTenant(id, name).override = override
  state.configureTenants()
  for (const { id, name } of image.devices) {
    apply(state, { kind: 'device-registered', id, name }, 0)
    const described = devices.get(name)
    if (described !== undefined) state.describeDevice(id, described.facts, described.scope)
  }
  for (const record of image.sessions) {
    apply(state, { kind: 'session-changed', before: undefined, after: record }, 0)
  }
  for (const { session, device, state: after } of image.attachments) {
    const attached = { session, device, before: undefined, after } as const
    apply(state, { kind: 'attachment-changed', ...attached }, 0)
  }
  restoreAllocations(state, image, now)
  for (const binding of image.bindings) restoreBinding(state, binding)
  restoreRequests(state, image.requests)
  state.nextSession = Math.max(state.nextSession, image.lastSession + 1)
  state.revision = image.revision
  return state
}

function restoreAllocations(state: State, image: Image, now: InstantMs): void {
  const columns = image.allocations
  let newest = 0
  let scope = -1
  for (let i = 0; i < columns.count; ) {
    const run = runAt(columns, i)
    const row = rowAt(columns, i)
    const namespace = namespaceAt(state, row)
    if (row.namespace !== scope) {
      scope = row.namespace
      newest = 0
    }
    state.charge(row.tenant, run.count, row.namespace)
    const labels = image.labels.get(row.generation)
    if (labels !== undefined) {
      const known = state.labels.get(row.generation)?.numbers ?? 0
      state.labels.set(row.generation, { labels, numbers: known + run.count })
    }
    if (row.slot === SLOT.QUARANTINED) {
      namespace.quarantine(run, row)
      const until = (now + state.policy.holdMs) as InstantMs
      const rest = { namespace: row.namespace, tenant: row.tenant, runs: [run], until }
      state.quarantine.push({ ...rest, revision: image.revision })
    } else {
      namespace.regrant(run, row)
      if (row.slot === SLOT.FREE_PENDING) namespace.beginFree(run)
      state.session(row.session).held += run.count
    }
    if (row.generation >= newest) {
      newest = row.generation
      namespace.cursor = (run.first + run.count) % namespace.size
    }
    i += run.count
  }
}

interface Row {
  readonly namespace: NamespaceId
  readonly slot: Slot
  readonly session: SessionId
  readonly tenant: TenantId
  readonly generation: Generation
  readonly at: WallMs
}

function rowAt(columns: AllocationColumns, i: number): Row {
  const slot = columns.slot[i] ?? 0
  assert(slot >= SLOT.HELD && slot <= SLOT.QUARANTINED, `slot ${slot} of a stored number`)
  return {
    namespace: namespaceId(columns.namespace[i] ?? -1),
    slot: slot as Slot,
    session: (columns.session[i] ?? 0) as SessionId,
    tenant: (columns.tenant[i] ?? 0) as TenantId,
    generation: (columns.generation[i] ?? 0) as Generation,
    at: (columns.at[i] ?? 0) as WallMs,
  }
}

/** Rows from `i` on that are neighbours and alike: one run. */
function runAt(columns: AllocationColumns, i: number): PasidRun {
  const first = columns.pasid[i] ?? 0
  let count = 1
  for (let j = i + 1; j < columns.count; j += 1, count += 1) {
    const alike =
      columns.pasid[j] === first + count &&
      columns.namespace[j] === columns.namespace[i] &&
      columns.slot[j] === columns.slot[i] &&
      columns.session[j] === columns.session[i] &&
      columns.tenant[j] === columns.tenant[i] &&
      columns.generation[j] === columns.generation[i] &&
      columns.at[j] === columns.at[i]
    if (!alike) break
  }
  return { first, count }
}

/**
 * A device may have been taken out of the configuration while numbers of its scope are held, or
 * put into HOST scope while some of its own still rest.
 */
function namespaceAt(state: State, { namespace: id, slot }: Row): Namespace {
  const known = state.namespaces.get(id)
  if (known !== undefined) return known
  const device: Device = state.device((id - 1) as DeviceId)
  const namespace = new Namespace(id, PASID_BITS_MAX)
  state.namespaces.set(id, namespace)
  if (device.facts !== undefined) {
    assert(slot === SLOT.QUARANTINED, `device ${device.name} is in DEVICE scope`)
    return namespace
  }
  device.scope = 'DEVICE'
  device.namespace = id
  return namespace
}

function restoreRequests(state: State, columns: RequestColumns): void {
  for (let i = 0; i < columns.count; i += 1) {
    const session = (columns.session[i] ?? 0) as SessionId
    const method = REQUEST_METHODS[columns.method[i] ?? -1]
    assert(method !== undefined, 'a stored request has a known method')
    const record: RequestRecord = {
      session: session === 0 ? undefined : session,
      tenant: (columns.tenant[i] ?? 0) as TenantId,
      method,
      idHigh: columns.idHigh[i] ?? 0,
      idLow: columns.idLow[i] ?? 0,
      fingerprintHigh: columns.fingerprintHigh[i] ?? 0,
      fingerprintLow: columns.fingerprintLow[i] ?? 0,
      at: (columns.at[i] ?? 0) as WallMs,
      answer: columns.answer[i] ?? 0,
      revision: columns.revision[i] ?? 0,
    }
    apply(state, { kind: 'request-kept', record }, 0)
  }
}
