/**
 * Numbers of ended sessions that a VMM may still have attached by itself, on a device which is not
 * in the backend's hands: they do not rest before each such device was seen closed, a hold is over,
 * or an operator says so. Holds: a hold begins whole again after a restart; a device is never
 * looked at while a session has it, since looking binds it for a moment.
 */

import type { SessionId } from '../core/ids.js'
import { completions } from '../core/machine.js'
import type { Context } from './context.js'

/** First pause before a device is looked at; doubles up to the second. */
export const LOOK_MS_MIN = 100
export const LOOK_MS_MAX = 10_000

interface Hold {
  /** Devices that must be seen closed. Empty: nobody knows which, and only time tells. */
  readonly devices: Set<string>
  readonly timers: Set<() => void>
}

export class Unproven {
  readonly #context: Context
  readonly #holdMs: number
  readonly #resume: (session: SessionId) => Promise<unknown>
  readonly #holds = new Map<SessionId, Hold>()
  /** Devices that are being looked at. */
  readonly #looks = new Map<string, Promise<boolean>>()
  #stopped = false

  /** `resume` goes on with the end of a session whose numbers may rest now. */
  constructor(context: Context, holdMs: number, resume: (session: SessionId) => Promise<unknown>) {
    this.#context = context
    this.#holdMs = holdMs
    this.#resume = resume
  }

  /** Repeatable: a hold that has begun goes on. */
  begin(id: SessionId, devices: readonly string[]): void {
    if (this.#stopped || this.#holds.has(id)) return
    if (this.#holdMs === 0) {
      this.#prove(id)
      return
    }
    const hold: Hold = { devices: new Set(devices), timers: new Set() }
    this.#holds.set(id, hold)
    this.#tell(id, 'BEGUN')
    this.#after(hold, this.#holdMs, () => this.#end(id, hold, 'HOLD_OVER'))
    if (hold.devices.size > 0) this.#lookLater(id, hold, LOOK_MS_MIN)
  }

  /** Nobody had the device bound a moment ago. */
  seenClosed(device: string): void {
    for (const [id, hold] of [...this.#holds]) this.#seen(id, hold, device)
  }

  /** Undefined: the device is not being looked at. */
  looking(device: string): Promise<unknown> | undefined {
    return this.#looks.get(device)
  }

  stop(): void {
    this.#stopped = true
    for (const hold of this.#holds.values()) cancelAll(hold)
    this.#holds.clear()
  }

  #seen(id: SessionId, hold: Hold, device: string): void {
    if (!hold.devices.delete(device) || hold.devices.size > 0) return
    this.#end(id, hold, 'SEEN_CLOSED')
  }

  #end(id: SessionId, hold: Hold, how: 'SEEN_CLOSED' | 'HOLD_OVER'): void {
    if (!this.#isStanding(id, hold)) return
    cancelAll(hold)
    this.#holds.delete(id)
    this.#tell(id, how)
    this.#prove(id)
    this.#resume(id).catch((error: unknown) => this.#context.ports.telemetry.bug(error))
  }

  /** Not over meanwhile, and no operator was faster. */
  #isStanding(id: SessionId, hold: Hold): boolean {
    if (this.#holds.get(id) !== hold) return false
    if (this.#context.state.sessions.get(id)?.record.unproven === true) return true
    cancelAll(hold)
    this.#holds.delete(id)
    return false
  }

  #prove(id: SessionId): void {
    const events = completions.proveClosed(this.#context.state, id)
    if (events.length > 0) this.#context.queue.submit(events)
  }

  #lookLater(id: SessionId, hold: Hold, pauseMs: number): void {
    this.#after(hold, pauseMs, () => {
      this.#lookAtAll(id, hold)
        .then(() => {
          const next = Math.min(pauseMs * 2, LOOK_MS_MAX)
          if (this.#isStanding(id, hold)) this.#lookLater(id, hold, next)
        })
        .catch((error: unknown) => this.#context.ports.telemetry.bug(error))
    })
  }

  async #lookAtAll(id: SessionId, hold: Hold): Promise<void> {
    for (const device of [...hold.devices]) {
      if (!this.#isStanding(id, hold)) return
      // Whoever has it now would meet our binding; handing it over shows the same.
      if (this.#isAttached(device)) continue
      if (await this.#look(device)) this.#seen(id, hold, device)
    }
  }

  #isAttached(name: string): boolean {
    const device = this.#context.state.deviceByName.get(name)
    return device === undefined || device.attachedBy.size > 0
  }

  /** Once at a time a device, for all who wait for it. */
  #look(device: string): Promise<boolean> {
    const under = this.#looks.get(device)
    if (under !== undefined) return under
    const seen = this.#context.backend.handOvers?.seenClosed(device) ?? Promise.resolve(false)
    const look = seen.then((closed) => closed === true).finally(() => this.#looks.delete(device))
    this.#looks.set(device, look)
    return look
  }

  #after(hold: Hold, ms: number, run: () => void): void {
    const cancel = this.#context.ports.clock.after(ms, () => {
      hold.timers.delete(cancel)
      run()
    })
    hold.timers.add(cancel)
  }

  #tell(id: SessionId, how: 'BEGUN' | 'SEEN_CLOSED' | 'HOLD_OVER'): void {
    const session = this.#context.state.sessions.get(id)
    if (session === undefined) return
    const { record, held: pasids } = session
    this.#context.ports.telemetry.unproven({ session: record.name, pasids, how })
  }
}

function cancelAll(hold: Hold): void {
  for (const cancel of hold.timers) cancel()
  hold.timers.clear()
}
