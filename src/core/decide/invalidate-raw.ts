/**
 * Invalidations that came as the bytes of a kernel structure or of queue descriptors. They name
 * what the guest knows, and a guest may name what is not bound (any more): nothing is cached of
 * that, so its invalidation is complete. Hardware says no more of a domain id or PASID that it
 * never saw.
 */

import { bindingKey, deviceOfKey, sameTable, type Binding } from '../binding.js'
import type { InvalidateRaw, RawInvalidationEntry, RawReach } from '../commands.js'
import { accepted, refused, type Decided } from '../decided.js'
import { RID, type DeviceId } from '../ids.js'
import { accept, refuse, type Outcome } from '../refusal.js'
import type { Session } from '../session.js'
import type { State } from '../state.js'
import type { InvalidationStep } from './invalidate.js'
import { attachedDevice, openSession } from './preconditions.js'

export function invalidateRaw(
  state: State,
  command: InvalidateRaw,
): Decided<readonly InvalidationStep[]> {
  const session = openSession(state, command.session)
  if ('stop' in session) return session.stop
  for (const name of command.devices) {
    const device = attachedDevice(state, session.found, name)
    if (!device.ok) return refused(device.refusal)
  }
  const steps: InvalidationStep[] = []
  // Entries of one batch that name the same share one list.
  const known = new Map<string, readonly Binding[]>()
  for (const [i, entry] of command.entries.entries()) {
    const { reach } = entry.granularity
    const name = nameOf(reach)
    const before = known.get(name)
    const bindings = before === undefined ? reached(state, session.found, i, entry) : accept(before)
    if (!bindings.ok) return refused(bindings.refusal)
    known.set(name, bindings.value)
    steps.push({ entry, bindings: bindings.value })
  }
  return accepted([], steps)
}

function nameOf(reach: RawReach): string {
  switch (reach.by) {
    case 'ALL':
      return 'ALL'
    case 'DOMAIN':
      return `DOMAIN ${reach.domain}`
    case 'DEVICE':
      return `DEVICE ${reach.device}`
    case 'TARGET':
      return `TARGET ${reach.target}`
    case 'GUEST_PASID':
      return `GUEST_PASID ${reach.pasid} ${reach.domain} ${reach.device}`
    case 'TABLE':
      return `TABLE ${reach.target} ${reach.device}`
  }
}

function reached(
  state: State,
  session: Session,
  i: number,
  { granularity: { reach }, caches }: RawInvalidationEntry,
): Outcome<readonly Binding[]> {
  if (reach.by !== 'TABLE') return accept(standing(state, session, keysOf(state, session, reach)))
  const device = attachedDevice(state, session, reach.device)
  if (!device.ok) return device
  const key = bindingKey(device.value.id, reach.target)
  const [binding] = standing(state, session, [key])
  if (binding === undefined) {
    return refuse({ code: 'NOT_BOUND', device: reach.device, target: reach.target })
  }
  if (binding.table.kind === 'PASS_THROUGH') {
    const named = { granularity: 'TABLE', caches: caches.join(' | ') }
    return refuse({ code: 'INVALIDATION_UNSUPPORTED', entry: i, ...named })
  }
  const own = standing(state, session, session.bindings)
  return accept(own.filter(({ table }) => sameTable(table, binding.table)))
}

/** Those of the keys that are bindings of the session whose effect is done. */
function standing(state: State, session: Session, keys: Iterable<number>): readonly Binding[] {
  const found: Binding[] = []
  for (const key of keys) {
    const binding = state.bindings.get(key)
    if (binding?.session === session.record.id && binding.state === 'BOUND') found.push(binding)
  }
  return found
}

function keysOf(
  state: State,
  session: Session,
  reach: Exclude<RawReach, { by: 'TABLE' }>,
): Iterable<number> {
  switch (reach.by) {
    case 'ALL':
      return session.bindings
    case 'DOMAIN':
      return session.domains.get(reach.domain) ?? []
    case 'TARGET':
      return [...session.attachments.keys()].map((id) => bindingKey(id, reach.target))
    case 'DEVICE': {
      const device = state.deviceByName.get(reach.device)
      // By the key alone: a batch may name many devices of a session with many bindings.
      const own = [...session.bindings]
      return own.filter((key) => deviceOfKey(key) === device?.id)
    }
    case 'GUEST_PASID':
      return guestKeys(state, session, reach)
  }
}

function guestKeys(
  state: State,
  session: Session,
  { pasid, domain, device: name }: Extract<RawReach, { by: 'GUEST_PASID' }>,
): readonly number[] {
  let ids: Iterable<DeviceId> = session.attachments.keys()
  if (name !== undefined) {
    const device = state.deviceByName.get(name)
    ids = device === undefined ? [] : [device.id]
  }
  const keys: number[] = []
  for (const id of ids) {
    const key = guestKey(session, id, pasid)
    if (key === undefined) continue
    if (domain === undefined || state.bindings.get(key)?.domain === domain) keys.push(key)
  }
  return keys
}

/** The key of the binding that a guest calls so; undefined: none has the number. */
export function guestKey(session: Session, device: DeviceId, pasid: number): number | undefined {
  if (pasid === RID) return bindingKey(device, RID)
  return session.guestPasids.get(device * 2 ** 20 + pasid)
}
