/**
 * Numbers that may still be attached on a device which is not in the backend's hands: of ended
 * sessions whose VMM may have attached them, and those that a session gives back after a restart
 * took a device with bindings out of our hands. They do not rest before each such device was seen
 * closed, a hold is over, or an operator says so. Holds: a hold begins whole again after a restart;
 * a device is never looked at while a session has it, since looking binds it for a moment.
 */

import type { Freeing } from '../core/decide/free.js'
import type { Event } from '../core/events.js'
import type { SessionId } from '../core/ids.js'
import { completions } from '../core/machine.js'
import { tick, type Context } from './context.js'
import { pendingOf } from './pending.js'

/** First pause before a device is looked at; doubles up to the second. */
export const LOOK_MS_MIN = 100
export const LOOK_MS_MAX = 10_000

interface Hold {
  /** Devices that must be seen closed. Empty: nobody knows which, and only time tells. */
  readonly devices: Set<string>
  readonly timers: Set<() => void>
  /** The session goes on: what is given back waits for `holdMs` each. Else all of it does, once. */
  readonly goesOn: boolean
  /** An earlier life of the daemon knew devices that this one does not: none of them will do. */
  readonly isPartial: boolean
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

  /** The session has ended. Repeatable: a hold that has begun goes on. */
  begin(id: SessionId, devices: readonly string[]): void {
    const before = this.#holds.get(id)
    if (this.#stopped || before?.goesOn === false) return
    if (before !== undefined) cancelAll(before)
    if (this.#holdMs === 0) {
      this.#holds.delete(id)
      this.#prove(id)
      return
    }
    const all = before?.isPartial === true ? [] : [...devices, ...(before?.devices ?? [])]
    const hold = this.#hold(id, all, { goesOn: false, isPartial: false })
    this.#tell(id, 'BEGUN')
    this.#after(hold, this.#holdMs, () => this.#end(id, hold, 'HOLD_OVER'))
  }

  #hold(id: SessionId, devices: readonly string[], how: Pick<Hold, 'goesOn' | 'isPartial'>): Hold {
    const hold: Hold = { devices: new Set(devices), timers: new Set(), ...how }
    this.#holds.set(id, hold)
    if (hold.devices.size > 0) this.#lookLater(id, hold, LOOK_MS_MIN)
    return hold
  }

  /** Whether something of the session may be attached where it was before it ended. */
  isInDoubt(id: SessionId): boolean {
    return this.#holds.has(id)
  }

  /**
   * The record of a binding of a session that goes on is taken away, and the device may still have
   * the number. Answers what is to be recorded with that.
   */
  doubt(id: SessionId, device: string): Event[] {
    const { state } = this.#context
    if (this.#stopped || this.#holdMs === 0) return []
    const standing = this.#holds.get(id)
    if (standing !== undefined && this.#isStanding(id, standing)) {
      standing.devices.add(device)
    } else {
      this.#hold(id, [device], { goesOn: true, isPartial: false })
      this.#tell(id, 'BEGUN')
    }
    return completions.doubt(state, id)
  }

  /** At start: what the session gives back waits still, and nobody knows for which devices. */
  remember(id: SessionId): void {
    if (this.#holdMs > 0) this.#hold(id, [], { goesOn: true, isPartial: true })
    else this.#prove(id)
  }

  /** The session goes on and has given numbers back; nothing is bound on them as far as we know. */
  given(id: SessionId, pending: Freeing['pending']): void {
    const hold = this.#holds.get(id)
    if (pending.length === 0 || hold?.goesOn !== true || !this.#isStanding(id, hold)) return
    this.#after(hold, this.#holdMs, () => {
      if (this.#isStanding(id, hold)) this.#rest(id, pending, true)
    })
  }

  #rest(id: SessionId, pending: Freeing['pending'], holdOver: boolean): void {
    const { state, queue } = this.#context
    const { instant } = tick(this.#context)
    const rest = completions.completeFree(state, id, pending, instant, holdOver)
    if (rest.length > 0) queue.submit(rest)
  }

  /** The session is no more. */
  forget(id: SessionId): void {
    const hold = this.#holds.get(id)
    if (hold !== undefined) cancelAll(hold)
    this.#holds.delete(id)
  }

  /** It is an operator's word, or proven: what a session that goes on has given back rests. */
  release(id: SessionId): void {
    this.#rest(id, pendingOf(this.#context.state, id), false)
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
    if (!hold.devices.delete(device) || hold.devices.size > 0 || hold.isPartial) return
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
      if (await this.look(device)) this.#seen(id, hold, device)
    }
  }

  #isAttached(name: string): boolean {
    const device = this.#context.state.deviceByName.get(name)
    return device === undefined || device.attachedBy.size > 0
  }

  /** Whether nobody at all has it bound. Once at a time a device, for all who wait for it. */
  look(device: string): Promise<boolean> {
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
