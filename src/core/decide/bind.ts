/**
 * BindPasid: everything that can be checked is checked for every device before any is touched.
 * Replace keeps what was bound before in the record until the new table stands.
 */

import type { Binding } from '../binding.js'
import { bindingKey } from '../binding.js'
import type { BindPasid } from '../commands.js'
import { accepted, refused, waitFor, type Decided } from '../decided.js'
import type { Device, DeviceFacts } from '../device.js'
import type { Event } from '../events.js'
import { RID, type Generation, type Pasid } from '../ids.js'
import { SLOT } from '../namespace.js'
import { accept, refuse, type Outcome } from '../refusal.js'
import type { Session } from '../session.js'
import type { State } from '../state.js'
import { unsupportedTable } from '../table-support.js'
import { groupSteps, reachedBy, type BindStep } from './bind-group.js'
import { attachedDevice, openSession } from './preconditions.js'

export interface BindSteps {
  readonly steps: readonly BindStep[]
}

export function bind(state: State, command: BindPasid): Decided<BindSteps> {
  const session = openSession(state, command.session)
  if ('stop' in session) return session.stop
  const steps: BindStep[] = []
  for (const name of command.devices) {
    const device = attachedDevice(state, session.found, name)
    if (!device.ok) return refused(device.refusal)
    const { facts } = device.value
    if (facts === undefined) return refused({ code: 'DEVICE_NOT_FOUND', device: name })
    const known = { device: device.value, facts }
    const attachment = session.found.attachments.get(device.value.id)
    if (attachment !== undefined && attachment.revision > state.durable) {
      return waitFor(attachment.revision)
    }
    const grant = checkTarget(state, session.found, known, command)
    if (!grant.ok) return refused(grant.refusal)
    if (grant.value > state.durable) return waitFor(grant.value)
    const step = checkStep(state, session.found, known, command, grant.value)
    if (!step.ok) return refused(step.refusal)
    steps.push(step.value)
  }
  const others = groupSteps(state, command, steps)
  if (!others.ok) return refused(others.refusal)
  steps.push(...others.value)
  const events: Event[] = steps.map(({ before, after }) => {
    return { kind: 'binding-changed', before, after }
  })
  return accepted(events, { steps })
}

interface KnownDevice {
  readonly device: Device
  readonly facts: DeviceFacts
}

/** The number is the session's, held, and sayable on the device; answers its generation. */
function checkTarget(
  state: State,
  session: Session,
  { device, facts }: KnownDevice,
  command: BindPasid,
): Outcome<Generation> {
  const { target } = command
  const { name } = device
  const shared = facts.shared && device.scope === 'HOST'
  if (target === RID) {
    if (shared) return refuse({ code: 'RID_NOT_AVAILABLE', device: name })
    return accept(0 as Generation)
  }
  const namespace = state.namespace(device.namespace)
  const slot = target < namespace.size ? namespace.slotOf(target) : SLOT.FREE
  const own = slot !== SLOT.FREE && namespace.sessionOf(target) === session.record.id
  if (!own || slot === SLOT.QUARANTINED) {
    const scope = state.scopeName(namespace.id)
    return refuse({ code: 'PASID_NOT_FOUND', pasid: target, scope })
  }
  if (slot === SLOT.FREE_PENDING) return refuse({ code: 'PASID_BEING_FREED', pasid: target })
  for (const { name: reached, pasidBits: widthBits } of [
    facts,
    ...reachedBy(state, device, target),
  ]) {
    if (target < 2 ** widthBits) continue
    const beyond = { pasid: target, device: reached, widthBits }
    return refuse({ code: 'PASID_BEYOND_DEVICE_WIDTH', ...beyond })
  }
  return accept(namespace.holderOf(target).generation)
}

function checkStep(
  state: State,
  session: Session,
  { device, facts }: KnownDevice,
  command: BindPasid,
  generation: Generation,
): Outcome<BindStep> {
  const { target, table, domain } = command
  const { name } = device
  for (const reached of reachedBy(state, device, target)) {
    const no = unsupportedTable(reached, table)
    if (no !== undefined) return refuse({ code: 'TABLE_UNSUPPORTED', device: reached.name, ...no })
  }
  const guest = checkGuestPasid(session, device, facts, command)
  if (!guest.ok) return guest
  const before = state.bindingAt(device.id, target)
  const standing = before?.state === 'BOUND'
  const busy = before !== undefined && !standing && before.state !== 'LOST'
  if (busy) return refuse({ code: 'BIND_SUPERSEDED', device: name, target })
  if (standing && !command.replace) return refuse({ code: 'ALREADY_BOUND', device: name, target })
  if (!standing && command.replace) return refuse({ code: 'NOT_BOUND', device: name, target })
  const after: Binding = {
    session: session.record.id,
    device: device.id,
    target,
    generation,
    table,
    previous: standing ? { table: before.table, domain: before.domain } : undefined,
    domain,
    guestPasid: guest.value,
    state: 'BINDING',
    cause: '',
  }
  return accept({ device, before, after })
}

function checkGuestPasid(
  session: Session,
  device: Device,
  facts: DeviceFacts,
  command: BindPasid,
): Outcome<Pasid | undefined> {
  const { target } = command
  if (target === RID) return accept(undefined)
  const guestPasid = command.guestPasid ?? (target as number as Pasid)
  if (facts.translation === 'NONE' && guestPasid !== (target as number)) {
    const { name } = device
    return refuse({ code: 'GUEST_PASID_MISMATCH', pasid: target, guestPasid, device: name })
  }
  const holder = session.guestPasids.get(bindingKey(device.id, guestPasid))
  if (holder !== undefined && holder !== bindingKey(device.id, target)) {
    const pasid = holder % 2 ** 20
    return refuse({ code: 'GUEST_PASID_TAKEN', guestPasid, device: device.name, pasid })
  }
  return accept(guestPasid)
}

/** What became of one step of a bind, by the backend's word. */
export type BindEnd = 'BOUND' | 'RESTORED' | 'GONE' | { readonly lost: string }

/** Nothing to say when the binding was unbound meanwhile: the unbind that did it goes on. */
export function completeBind(state: State, step: BindStep, end: BindEnd): Event[] {
  const before = state.bindingAt(step.device.id, step.after.target)
  if (before?.state !== 'BINDING' || before !== step.after) return []
  const settled = { ...before, previous: undefined }
  if (end === 'GONE') return [{ kind: 'binding-changed', before, after: undefined }]
  if (end === 'BOUND') {
    return [{ kind: 'binding-changed', before, after: { ...settled, state: 'BOUND' } }]
  }
  if (end === 'RESTORED') {
    return [{ kind: 'binding-changed', before, after: restored(state, step.before ?? settled) }]
  }
  return [
    { kind: 'binding-changed', before, after: { ...settled, state: 'LOST', cause: end.lost } },
  ]
}

/** What was bound before a replace; LOST if its guest PASID has gone to another meanwhile. */
function restored(state: State, old: Binding): Binding {
  const { device, target, guestPasid } = old
  const taken = state.session(old.session).guestPasids
  const holder = guestPasid === undefined ? undefined : taken.get(bindingKey(device, guestPasid))
  if (holder === undefined || holder === bindingKey(device, target)) {
    return { ...old, state: 'BOUND', cause: '' }
  }
  const cause = `guest PASID ${guestPasid} was bound elsewhere while this was being replaced`
  return { ...old, guestPasid: undefined, state: 'LOST', cause }
}

/** A binding that stands is no more in force; its owner is told. */
export function loseBinding(before: Binding, cause: string): Event {
  const after: Binding = { ...before, previous: undefined, state: 'LOST', cause }
  return { kind: 'binding-changed', before, after }
}
