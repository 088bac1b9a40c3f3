/**
 * A container: a session with what VFIO_SET_IOMMU made of it. The kind of IOMMU is kept in memory
 * only. A session that this incarnation of the daemon did not open as a container (PasidBroker, or
 * before a restart) passes for one that nests, and may be set once more.
 */

import { containerView, type ContainerView } from '../../broker/container.js'
import type { ScopeName } from '../../core/commands.js'
import type { DeviceFacts } from '../../core/device.js'
import type { SessionId } from '../../core/ids.js'
import type { State } from '../../core/state.js'
import type { DeviceView } from '../../core/view.js'
import { nestingInfoOf } from '../../uapi/nesting-info.js'
import { VFIO_TYPE1_NESTING } from '../../uapi/vfio-2020.js'

/** 0: open, and not set yet. */
const UNSET = 0

/** Looks for sessions that are gone when there are twice as many as after the last look. */
const SWEEP_FLOOR = 1024

export class ContainerKinds {
  readonly #kinds = new Map<SessionId, number>()
  #sweepAt = SWEEP_FLOOR

  opened(session: SessionId, isThere: (session: SessionId) => boolean): void {
    // A repeated OpenContainer changes nothing.
    if (this.#kinds.has(session)) return
    if (this.#kinds.size >= this.#sweepAt) {
      for (const id of this.#kinds.keys()) if (!isThere(id)) this.#kinds.delete(id)
      this.#sweepAt = Math.max(SWEEP_FLOOR, 2 * this.#kinds.size)
    }
    this.#kinds.set(session, UNSET)
  }

  closed(session: SessionId): void {
    this.#kinds.delete(session)
  }

  maySet(session: SessionId): boolean {
    return (this.#kinds.get(session) ?? UNSET) === UNSET
  }

  set(session: SessionId, kind: number): void {
    this.#kinds.set(session, kind)
  }

  isSet(session: SessionId): boolean {
    return this.#kinds.get(session) !== UNSET
  }

  nests(session: SessionId): boolean {
    return (this.#kinds.get(session) ?? VFIO_TYPE1_NESTING) === VFIO_TYPE1_NESTING
  }
}

export interface Container extends ContainerView {
  readonly session: SessionId
  /** VFIO_TYPE1_NESTING_IOMMU was set. */
  readonly nesting: boolean
  /** struct iommu_nesting_info; undefined: it nests no table per PASID, and has no PASIDs (v7). */
  readonly nestingInfo: Uint8Array | undefined
}

export function containerOf(
  state: State,
  kinds: ContainerKinds,
  session: SessionId,
): Container | undefined {
  const view = containerView(state, session)
  if (view === undefined) return undefined
  const nesting = kinds.nests(session)
  const nestingInfo = nesting ? nestingInfoOf(factsOf(view.devices)) : undefined
  return { ...view, session, nesting, nestingInfo }
}

/** Nothing can be said of a device that the backend does not know: then of none. */
function factsOf(devices: readonly DeviceView[]): readonly DeviceFacts[] {
  const facts = devices.flatMap((device) => device.facts ?? [])
  return facts.length === devices.length ? facts : []
}

/** The numbering that all devices are in; undefined: they are not in one. */
export function scopeOf(devices: readonly DeviceView[]): ScopeName | undefined {
  const own = devices.filter(({ scope }) => scope === 'DEVICE')
  const [first] = own
  if (first === undefined) return { kind: 'HOST' }
  return devices.length === 1 ? { kind: 'DEVICE', device: first.name } : undefined
}
