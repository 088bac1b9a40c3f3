/** AttachDevice and DetachDevice: which devices a session's numbers may be bound on. */

import type { AttachDevice, DetachDevice, Now } from '../commands.js'
import { accepted, refused, repeated, waitFor, type Decided } from '../decided.js'
import type { Event } from '../events.js'
import type { Binding } from '../binding.js'
import type { Device } from '../device.js'
import type { DeviceId, SessionId } from '../ids.js'
import { DEVICES_PER_SESSION_MAX } from '../limits.js'
import type { State } from '../state.js'
import { keepRequest, openSession, replay, tenantMayUse } from './preconditions.js'
import { unbinding } from './free.js'

export interface Attaching {
  readonly device: DeviceId
  /** False for a repeated request: the attachment stands or is under way. */
  readonly begin: boolean
}

export function attachDevice(state: State, command: AttachDevice, now: Now): Decided<Attaching> {
  const session = openSession(state, command.session)
  if ('stop' in session) return session.stop
  const { attachments, requests, record } = session.found
  const seen = replay(
    state,
    state.tenantOf(session.found),
    requests,
    'AttachDevice',
    command.request,
  )
  if (seen.kind === 'stop') return seen.stop
  const device = state.deviceByName.get(command.device)
  const known = device?.facts !== undefined && tenantMayUse(state, session.found, command.device)
  if (device === undefined || !known) {
    return refused({ code: 'DEVICE_NOT_FOUND', device: command.device })
  }
  const attachment = attachments.get(device.id)
  if (seen.kind === 'again' && attachment !== undefined && attachment.state !== 'DETACHING') {
    return repeated(seen.revision, { device: device.id, begin: false })
  }
  if (attachment !== undefined) {
    return refused({ code: 'DEVICE_ALREADY_ATTACHED', device: device.name })
  }
  const shared = device.facts?.shared === true && device.scope === 'HOST'
  if (
    !shared &&
    (othersAttached(state, device, record.id) || othersHold(state, device, record.id))
  ) {
    return refused({ code: 'DEVICE_IN_USE', device: device.name })
  }
  if (attachments.size >= DEVICES_PER_SESSION_MAX) {
    return refused({ code: 'DEVICES_EXHAUSTED', limit: DEVICES_PER_SESSION_MAX })
  }
  const owner = { session: record.id, tenant: record.tenant }
  const change = { session: record.id, device: device.id, before: undefined, after: 'ATTACHING' }
  const events: Event[] = [{ kind: 'attachment-changed', ...change } as Event]
  if (seen.kind === 'fresh') {
    const answered = { answer: 0, revision: state.revision + 1, at: now.wall }
    events.push(...keepRequest(owner, 'AttachDevice', command.request, answered))
  }
  return accepted(events, { device: device.id, begin: true })
}

/**
 * A group has one owner (Linux iommu_device_claim_dma_owner): what one of its devices may reach all
 * of them may, so none of them goes to a second session.
 */
function othersAttached(state: State, device: Device, session: SessionId): boolean {
  for (const member of state.groupOf(device)) {
    for (const holder of member.attachedBy) if (holder !== session) return true
  }
  return false
}

/** Numbers of a DEVICE scope may outlive an attachment: till they go, the device is not free. */
function othersHold(state: State, device: Device, session: SessionId): boolean {
  if (device.scope !== 'DEVICE') return false
  const namespace = state.namespace(device.namespace)
  let others = namespace.counts.held + namespace.counts.pending
  for (const _own of namespace.heldBy(session)) others -= 1
  return others > 0
}

/** The backend answered: the attachment stands, or it is gone. */
export function completeAttach(
  state: State,
  command: { readonly session: AttachDevice['session']; readonly device: DeviceId },
  attached: boolean,
): Event[] {
  const before = state.sessions.get(command.session)?.attachments.get(command.device)?.state
  if (before !== 'ATTACHING') return []
  const after = attached ? 'ATTACHED' : undefined
  return [{ kind: 'attachment-changed', ...command, before, after }]
}

export interface Detaching {
  readonly device: DeviceId | undefined
  readonly teardown: readonly Binding[]
}

/** Bindings on the device are taken down first; the numbers stay granted. May be repeated. */
export function detachDevice(state: State, command: DetachDevice, now: Now): Decided<Detaching> {
  const session = openSession(state, command.session)
  if ('stop' in session) return session.stop
  const { attachments, requests, record, bindings } = session.found
  const seen = replay(
    state,
    state.tenantOf(session.found),
    requests,
    'DetachDevice',
    command.request,
  )
  if (seen.kind === 'stop') return seen.stop
  const device = state.deviceByName.get(command.device)
  const attachment = device === undefined ? undefined : attachments.get(device.id)
  // An attachment that is not on its way out is newer than the detaching that is asked for again.
  if (seen.kind === 'again' && attachment?.state !== 'DETACHING') {
    return repeated(seen.revision, { device: undefined, teardown: [] })
  }
  if (device === undefined || attachment === undefined) {
    return refused({ code: 'DEVICE_NOT_ATTACHED', device: command.device })
  }
  if (attachment.revision > state.durable) return waitFor(attachment.revision)
  const events: Event[] = []
  const teardown: Binding[] = []
  for (const key of bindings) {
    const binding = state.bindings.get(key)
    if (binding === undefined || binding.device !== device.id) continue
    teardown.push(binding)
    if (binding.state !== 'UNBINDING') events.push(unbinding(binding))
  }
  if (attachment.state !== 'DETACHING') {
    const before = attachment.state
    const change = { session: record.id, device: device.id, before, after: 'DETACHING' } as const
    events.push({ kind: 'attachment-changed', ...change })
  }
  if (seen.kind === 'fresh' && seen.keep) {
    const owner = { session: record.id, tenant: record.tenant }
    const answered = { answer: 0, revision: state.revision + 1, at: now.wall }
    events.push(...keepRequest(owner, 'DetachDevice', command.request, answered))
  }
  return accepted(events, { device: device.id, teardown })
}

export function completeDetach(
  state: State,
  command: { readonly session: DetachDevice['session']; readonly device: DeviceId },
): Event[] {
  const before = state.sessions.get(command.session)?.attachments.get(command.device)?.state
  if (before !== 'DETACHING') return []
  return [{ kind: 'attachment-changed', ...command, before, after: undefined }]
}
