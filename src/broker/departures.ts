/**
 * Sessions that end where VMMs hand devices over: everything of theirs that is in the backend's
 * hands is let go at once, whatever the ledger, the breaker, the queue of deaths or other sessions
 * do; and their numbers wait for the proof that nothing is attached any more. While a session
 * lingers it keeps its descriptors, for its successor. Without hand-overs there is nothing to do.
 */

import type { HandOvers } from '../backend/backend.js'
import type { Binding } from '../core/binding.js'
import type { Freeing } from '../core/decide/free.js'
import type { Event } from '../core/events.js'
import { RID, target, type SessionId, type Target } from '../core/ids.js'
import { completions } from '../core/machine.js'
import type { Session } from '../core/session.js'
import type { State } from '../core/state.js'
import type { Context } from './context.js'
import { Unproven } from './unproven.js'

export interface UnprovenPolicy {
  /** How long numbers stay unproven at most; 0: not at all. */
  readonly unprovenHoldMs: number
}

interface Departure {
  /** Devices it had attached, or that it detached without the backend: whether any is known. */
  readonly devices: number
  /** Those that were not in the backend's hands, and so cannot be let go. */
  readonly unheld: readonly string[]
  /** An earlier life may have known more of them, which cannot be let go either. */
  readonly isPartial: boolean
  /** Of the others, those of which it is not certain, or that somebody has bound still. */
  dropped: Promise<readonly string[]>
}

export class Departures {
  readonly #context: Context
  readonly #unproven: Unproven
  readonly #going = new Map<SessionId, Departure>()
  /** Detached by a session that goes on while the backend did not have it: nothing is known. */
  readonly #detached = new Map<SessionId, Set<string>>()
  /** Sessions of an earlier life: what they had detached by then is in no ledger. */
  readonly #recovered = new Set<SessionId>()

  /** `resume` goes on with the end of a session whose numbers may rest now. */
  constructor(
    context: Context,
    { unprovenHoldMs }: UnprovenPolicy,
    resume: (session: SessionId) => Promise<unknown>,
  ) {
    this.#context = context
    this.#unproven = new Unproven(context, unprovenHoldMs, resume)
  }

  /** Whether ends of sessions must be proven: what CloseSession and its like are told. */
  get wantProof(): boolean {
    return this.#context.backend.handOvers !== undefined
  }

  /** Lets go of what the session has: it ends, or is certain to. Repeatable. */
  begin(id: SessionId): void {
    const { backend, state } = this.#context
    const session = state.sessions.get(id)
    if (backend.handOvers === undefined || session === undefined || this.#going.has(id)) return
    const names = [...session.attachments.keys()].map((device) => state.device(device).name)
    const { handOvers } = backend
    const attached = names.filter((name) => !handOvers.holds(name, id))
    const unheld = [...new Set([...attached, ...(this.#detached.get(id) ?? [])])]
    const devices = names.length - attached.length + unheld.length
    const dropped = this.#drop(handOvers, session)
    // Who has handed all of its devices over has no reason to have attached others by itself.
    const isPartial = this.#recovered.has(id) && unheld.length > 0
    this.#going.set(id, { devices, unheld, isPartial, dropped })
  }

  #drop(handOvers: HandOvers, session: Session): Promise<readonly string[]> {
    const { state, ports } = this.#context
    const { id } = session.record
    const names = [...session.attachments.keys()].map((device) => state.device(device).name)
    const held = names.filter((name) => handOvers.holds(name, id))
    const dropped = handOvers.drop(id, numbersOf(state, id)).then((uncertain) => {
      return this.#stillBound(id, held, uncertain)
    })
    dropped.catch((error: unknown) => ports.telemetry.bug(error))
    return dropped
  }

  /**
   * Our copies are closed. Whoever has another of the VMM's could attach again what we detached:
   * certain is only a device that nobody has bound.
   */
  async #stillBound(
    id: SessionId,
    dropped: readonly string[],
    uncertain: readonly string[],
  ): Promise<readonly string[]> {
    if ((this.#context.state.sessions.get(id)?.held ?? 0) === 0) return uncertain
    const looks = dropped.map(async (name) => {
      return uncertain.includes(name) || (await this.#unproven.look(name)) ? [] : [name]
    })
    return [...uncertain, ...(await Promise.all(looks)).flat()]
  }

  /** Whether nothing may come into the backend's hands for the session any more. */
  isGoing(id: SessionId): boolean {
    return this.#going.has(id)
  }

  /** Something came into the backend's hands while the session was going. */
  async again(id: SessionId): Promise<void> {
    const session = this.#context.state.sessions.get(id)
    const departure = this.#going.get(id)
    const { handOvers } = this.#context.backend
    if (session === undefined || departure === undefined || handOvers === undefined) return
    const [before, now] = [departure.dropped, this.#drop(handOvers, session)]
    departure.dropped = Promise.all([before, now]).then(([one, other]) => [...one, ...other])
    await now
  }

  /**
   * Resolves when nothing of the session's is in the backend's hands. Its numbers may rest then, or
   * their hold has begun. Undefined: there is nothing to wait for.
   */
  gone(id: SessionId): Promise<void> | undefined {
    this.begin(id)
    const departure = this.#going.get(id)
    return departure === undefined ? undefined : this.#gone(id, departure)
  }

  async #gone(id: SessionId, departure: Departure): Promise<void> {
    const { state, queue } = this.#context
    const uncertain = await departure.dropped
    if (state.sessions.get(id)?.record.unproven !== true) return
    const devices = [...departure.unheld, ...uncertain]
    // Without a device it is not known where the numbers may be attached.
    const { isPartial } = departure
    if (departure.devices === 0 || devices.length > 0 || this.#unproven.isInDoubt(id)) {
      this.#unproven.begin(id, isPartial ? [] : devices)
      return
    }
    const proven = completions.proveClosed(state, id)
    if (proven.length > 0) queue.submit(proven)
  }

  /** The session is no more. */
  forget(id: SessionId): void {
    this.#going.delete(id)
    this.#detached.delete(id)
    this.#recovered.delete(id)
    this.#unproven.forget(id)
  }

  /** A session that goes on has detached a device that was not in the backend's hands. */
  detachedUnheld(id: SessionId, device: string): void {
    const names = this.#detached.get(id) ?? new Set()
    this.#detached.set(id, names.add(device))
  }

  /** The device was bound by us: nobody else had it. */
  seenClosed(device: string): void {
    for (const names of this.#detached.values()) names.delete(device)
    this.#unproven.seenClosed(device)
  }

  /** Whether the backend can take the binding down, or somebody else may have it attached. */
  isOutOfReach({ session, device, target: at }: Binding): boolean {
    const { backend, state } = this.#context
    const { handOvers } = backend
    // Of a session that ends each device is answered for as a whole; RID is no number.
    if (handOvers === undefined || at === RID || this.#going.has(session)) return false
    if (state.sessions.get(session)?.record.state === 'CLOSING') return false
    return !handOvers.holds(state.device(device).name, session)
  }

  /** See Unproven.doubt(). */
  doubt({ session, device }: Binding): Event[] {
    return this.#unproven.doubt(session, this.#context.state.device(device).name)
  }

  /** See Unproven.given(). */
  given(id: SessionId, pending: Freeing['pending']): void {
    this.#unproven.given(id, pending)
  }

  /** See Unproven.release(). */
  release(id: SessionId): void {
    this.#unproven.release(id)
  }

  /** At start, before anything ends: of which sessions an earlier life was in doubt. */
  remember(): void {
    for (const { record } of this.#context.state.sessions.values()) {
      this.#recovered.add(record.id)
      if (record.unproven && record.state !== 'CLOSING') this.#unproven.remember(record.id)
    }
  }

  /** Undefined: the device is not being looked at. */
  looking(device: string): Promise<unknown> | undefined {
    return this.#unproven.looking(device)
  }

  stop(): void {
    this.#unproven.stop()
  }
}

/** What the session may have attached, of whichever scope. */
function numbersOf(state: State, id: SessionId): Target[] {
  const numbers = new Set<number>()
  for (const namespace of state.namespaces.values()) {
    for (const pasid of namespace.heldBy(id)) numbers.add(pasid)
  }
  return [...numbers].sort((a, b) => a - b).map(target)
}
