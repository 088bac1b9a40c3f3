/**
 * A session as of now, also what is not on disk yet: for calls that a guest's CPU spins on, and
 * that name neither devices nor domains because a container of the 2020 series had one of each.
 */

import { HOST_NAMESPACE, type DomainId, type SessionId, type Target } from '../core/ids.js'
import { SLOT } from '../core/namespace.js'
import type { Session } from '../core/session.js'
import type { State } from '../core/state.js'
import { deviceView, type DeviceView } from '../core/view.js'

export interface ContainerView {
  /** Attached, in the order of attaching. */
  readonly devices: readonly DeviceView[]
  /** What is bound in the domain, each once. */
  targets(domain: DomainId): readonly Target[]
  /** Whether the session holds the number in a numbering of its devices, and did not free it. */
  holds(pasid: number): boolean
}

/** Undefined: no such session, or it is closing. */
export function containerView(state: State, id: SessionId): ContainerView | undefined {
  const session = state.sessions.get(id)
  if (session === undefined || session.record.state === 'CLOSING') return undefined
  const devices: DeviceView[] = []
  for (const [device, { state: stands }] of session.attachments) {
    if (stands === 'ATTACHED') devices.push(deviceView(state, state.device(device)))
  }
  return {
    devices,
    targets: (domain) => targetsOf(state, session, domain),
    holds: (pasid) => holds(state, session, pasid),
  }
}

function targetsOf(state: State, session: Session, domain: DomainId): readonly Target[] {
  const targets = new Set<Target>()
  for (const key of session.domains.get(domain) ?? []) {
    const binding = state.bindings.get(key)
    if (binding?.state === 'BOUND') targets.add(binding.target)
  }
  return [...targets]
}

function holds(state: State, session: Session, pasid: number): boolean {
  const numberings = new Set([HOST_NAMESPACE])
  for (const device of session.attachments.keys()) numberings.add(state.device(device).namespace)
  for (const id of numberings) {
    const namespace = state.namespace(id)
    if (pasid >= namespace.size || namespace.slotOf(pasid) !== SLOT.HELD) continue
    if (namespace.sessionOf(pasid) === session.record.id) return true
  }
  return false
}
