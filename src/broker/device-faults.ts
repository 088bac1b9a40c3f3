/**
 * Faults of sessions' bindings, and resets of their devices, to whoever listens for the session. A
 * guest can make any number of faults: those of one interval go out together, the oldest of them in
 * full and the rest as a count. Nothing is kept for a session that nobody listens for.
 */

import type { RaisedFault } from '../backend/backend.js'
import type { SessionId } from '../core/ids.js'
import type { DeviceFaultView } from './answers.js'
import type { Context } from './context.js'

/** Faults of one session in one event. */
export const DEVICE_FAULTS_MAX = 64
export const DEVICE_FAULTS_INTERVAL_MS = 50

interface Collected {
  readonly faults: DeviceFaultView[]
  lost: number
  readonly cancel: () => void
}

export class DeviceFaults {
  readonly #context: Context
  readonly #bySession = new Map<SessionId, Collected>()
  #stopped = false

  constructor(context: Context) {
    this.#context = context
  }

  fault({ session, ...fault }: RaisedFault): void {
    if (this.#stopped || !this.#context.hub.isListened(session)) return
    const collected = this.#bySession.get(session) ?? this.#collect(session)
    if (collected.faults.length < DEVICE_FAULTS_MAX) collected.faults.push(fault)
    else collected.lost += 1
  }

  #collect(session: SessionId): Collected {
    const { hub, ports } = this.#context
    const collected = {
      faults: [],
      lost: 0,
      cancel: ports.clock.after(DEVICE_FAULTS_INTERVAL_MS, () => {
        this.#bySession.delete(session)
        const { faults, lost } = collected
        hub.publish(session, { kind: 'device-faults', faults, lost })
      }),
    }
    this.#bySession.set(session, collected)
    return collected
  }

  /** To every session that has the device attached. */
  reset(device: string, done: boolean): void {
    const { state, hub } = this.#context
    const id = state.deviceByName.get(device)?.id
    if (this.#stopped || id === undefined) return
    for (const session of hub.listened()) {
      if (state.sessions.get(session)?.attachments.has(id) !== true) continue
      hub.publish(session, { kind: 'device-reset', device, done })
    }
  }

  stop(): void {
    this.#stopped = true
    for (const { cancel } of this.#bySession.values()) cancel()
    this.#bySession.clear()
  }
}
