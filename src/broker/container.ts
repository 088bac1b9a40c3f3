/**
 * A session as of now, also what is not on disk yet: for calls that a guest's CPU spins on, and
 * that name no devices because a container of the 2020 series is all of its own.
 */

import type { ScopeName } from '../core/commands.js'
import {
  HOST_NAMESPACE,
  target,
  type DeviceId,
  type NamespaceId,
  type SessionId,
} from '../core/ids.js'
import { SLOT } from '../core/namespace.js'
import type { Session } from '../core/session.js'
import type { State } from '../core/state.js'
import { deviceView, type DeviceView } from '../core/view.js'

export interface ContainerView {
  /** Attached, in the order of attaching. */
  readonly devices: readonly DeviceView[]
  /** Whether it is bound on any device. */
  isBound(pasid: number): boolean
  /** The numberings in which the session has numbers, of devices that it has let go as well. */
  numberings(): readonly ScopeName[]
  /** The one in which it holds the number, and did not free it; undefined: it does not hold it. */
  numberingOf(pasid: number): ScopeName | undefined
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
    isBound: (pasid) => isBound(state, session, pasid),
    numberings: () => numberings(state, id).map(({ scope }) => scope),
    numberingOf: (pasid) => {
      return numberings(state, id).find(({ namespace }) => {
        return (
          pasid < namespace.size &&
          namespace.slotOf(pasid) === SLOT.HELD &&
          namespace.sessionOf(pasid) === id
        )
      })?.scope
    },
  }
}

function isBound(state: State, session: Session, pasid: number): boolean {
  return [...session.attachments.keys()].some((device) => {
    const binding = state.bindingAt(device, target(pasid))
    return binding?.session === session.record.id && binding.state === 'BOUND'
  })
}

function numberings(state: State, session: SessionId) {
  const own = [...state.namespaces.values()].filter((namespace) => namespace.holdsAny(session))
  return own.map((namespace) => ({ namespace, scope: scopeOf(state, namespace.id) }))
}

function scopeOf(state: State, namespace: NamespaceId): ScopeName {
  if (namespace === HOST_NAMESPACE) return { kind: 'HOST' }
  return { kind: 'DEVICE', device: state.device((namespace - 1) as DeviceId).name }
}
