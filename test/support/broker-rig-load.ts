/**
 * A mixed load of several VMs on a rig, each one call after the other, all at once; and beside it
 * what each VM may believe from the answers it got. `wrong` holds that against the broker's state.
 * Same seed, same calls; how they meet in batches is the event loop's affair.
 */

import { SLOT } from '../../src/core/namespace.js'
import type { Change } from '../../src/core/events.js'
import type { Outcome } from '../../src/core/refusal.js'
import type { BrokerRig } from './broker-rig.js'
import {
  blockAsk,
  exactAsk,
  openVm,
  requestKey,
  RigVm,
  tableAt,
  type AllocateAsk,
  type OpenAsk,
} from './broker-rig-vm.js'

/** mulberry32: small, seeded. Answers with a whole number below `below`. */
export function seededChance(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b_79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** What one VM has been told it has: a number, and whether it is bound. */
type Belief = Map<number, 'IDLE' | 'BOUND'>

/** Exact numbers are asked for above those that next-fit comes to. */
const EXACT_FIRST = 500_000
/** As many as one VM asks for at once in a block: 2^3. */
const BLOCK_ORDERS = 4

interface Slot {
  readonly index: number
  /** Undefined while it has no session. */
  vm: RigVm | undefined
  belief: Belief
  /** Given back, and answered that it is not durable yet. */
  returned: Set<number>
  /** Grants that were refused for the ledger's sake, to be asked for again. */
  refused: AllocateAsk[]
  refusedOpen: OpenAsk | undefined
}

export class RigLoad {
  /** What an answer said that it must not say. */
  readonly complaints: string[] = []
  /** `fine`: refused for a reason that has nothing to do with the ledger. */
  readonly counts = { calls: 0, granted: 0, refused: 0, fine: 0 }
  rig: BrokerRig
  readonly #chance: (below: number) => number
  readonly #slots: Slot[]
  readonly #closedLater = new Set<number>()
  #requests = 0

  constructor(
    rig: BrokerRig,
    readonly seed: number,
    vms = 4,
    /** VMs that belong to the test itself. */
    private readonly others: readonly RigVm[] = [],
  ) {
    this.rig = rig
    this.#chance = seededChance(seed)
    this.#slots = Array.from({ length: vms }, (_, index) => {
      const nothing = { belief: new Map(), returned: new Set<number>(), refused: [] }
      return { index, vm: undefined, ...nothing, refusedOpen: undefined }
    })
  }

  /** Every VM makes so many calls. */
  async run(calls: number): Promise<void> {
    await Promise.all(
      this.#slots.map(async (slot) => {
        for (let i = 0; i < calls; i += 1) await this.#call(slot)
      }),
    )
  }

  /** The next incarnation of the broker. */
  moveTo(rig: BrokerRig): void {
    this.rig = rig
    for (const slot of this.#slots) slot.vm = slot.vm?.on(rig.broker)
  }

  /** The batch turned out to be on the disk: who was refused a grant of it holds it after all. */
  foundWritten(batch: readonly Change[]): void {
    for (const event of batch.flatMap(({ events }) => events)) {
      if (event.kind !== 'granted') continue
      const slot = this.#slots.find(({ vm }) => vm?.id === event.session)
      for (const { first, count } of event.runs) {
        for (let at = first; at < first + count; at += 1) slot?.belief.set(at, 'IDLE')
      }
    }
  }

  /**
   * What the next incarnation lost or shows too much of, after a kill while the ledger was down.
   * `doubtful` may be on the disk; what was given back and is not durable is the owner's again.
   */
  wrongAfterKill(next: BrokerRig, doubtful: readonly Change[]): string[] {
    const { state } = next.broker
    const found = this.complaints.splice(0)
    const maybe = new Set<string>()
    const events = doubtful.flatMap(({ events: all }) => all)
    for (const event of events) {
      if (event.kind === 'session-changed') maybe.add(`session ${event.after?.id}`)
      if (event.kind !== 'granted') continue
      for (const { first, count } of event.runs) {
        for (let at = first; at < first + count; at += 1) maybe.add(`${event.session} ${at}`)
      }
    }
    const owners = new Map(this.#slots.map((slot) => [slot.vm?.id, slot]))
    for (const { record } of state.sessions.values()) {
      const slot = owners.get(record.id)
      if (slot === undefined) {
        const fine = this.#closedLater.has(record.id) || maybe.has(`session ${record.id}`)
        if (!fine) found.push(`session ${record.name} belongs to nobody`)
        continue
      }
      for (const pasid of state.host.heldBy(record.id)) {
        const told = slot.belief.has(pasid) || slot.returned.has(pasid)
        if (!told && !maybe.has(`${record.id} ${pasid}`)) found.push(`nobody was told of ${pasid}`)
      }
    }
    for (const { index, vm, belief } of this.#slots) {
      for (const pasid of belief.keys()) {
        if (state.host.sessionOf(pasid) === vm?.id) continue
        found.push(`vm ${index} was told it has ${pasid}`)
      }
    }
    return found
  }

  /** After recovery: who was refused for the ledger's sake asks again with the same request id. */
  async askAgain(): Promise<void> {
    for (const slot of this.#slots) {
      if (slot.refusedOpen !== undefined) await this.#open(slot, slot.refusedOpen)
      for (const ask of slot.refused.splice(0)) {
        if (slot.vm !== undefined) await this.#allocate(slot, slot.vm, ask)
      }
    }
  }

  /** How the broker's state differs from what the VMs believe; empty when nothing is under way. */
  wrong(): string[] {
    const { state } = this.rig.broker
    const found = this.complaints.splice(0)
    for (const { index, vm, belief } of this.#slots) {
      if (vm === undefined) continue
      const session = state.sessions.get(vm.id)
      if (session === undefined) {
        found.push(`vm ${index} has lost its session ${vm.name}`)
        continue
      }
      for (const pasid of state.host.heldBy(vm.id)) {
        if (!belief.has(pasid)) found.push(`vm ${index} holds ${pasid} and was never told so`)
        if (state.host.slotOf(pasid) !== SLOT.HELD) found.push(`${pasid} is stuck on its way`)
      }
      for (const [pasid, as] of belief) {
        const held = state.host.sessionOf(pasid) === vm.id && state.host.slotOf(pasid) === SLOT.HELD
        if (!held) found.push(`vm ${index} was told it has ${pasid}`)
        const bound = vm.bindingState(pasid)
        if ((bound ?? 'IDLE') !== (as === 'IDLE' ? 'IDLE' : 'BOUND')) {
          found.push(`vm ${index} was told ${pasid} is ${as}, it is ${bound ?? 'IDLE'}`)
        }
      }
    }
    const known = new Set([
      ...this.#slots.map(({ vm }) => vm?.id),
      ...this.others.map(({ id }) => id),
    ])
    for (const { record } of state.sessions.values()) {
      if (!known.has(record.id)) found.push(`session ${record.name} belongs to nobody`)
    }
    return found
  }

  async #call(slot: Slot): Promise<void> {
    this.counts.calls += 1
    const { vm, belief } = slot
    // Who was refused for the ledger's sake asks with the same id until it is answered.
    if (vm === undefined) return this.#open(slot, slot.refusedOpen ?? { request: this.#request() })
    const roll = this.#chance(100)
    const some = this.#pick([...belief.keys()])
    if (roll < 28) return this.#allocate(slot, vm, { request: this.#request() })
    if (roll < 36) {
      const ask = blockAsk(this.#chance(BLOCK_ORDERS))
      return this.#allocate(slot, vm, { ask, request: this.#request() })
    }
    if (roll < 42) {
      const first = EXACT_FIRST + this.#chance(64)
      const request = this.#request()
      return this.#allocate(slot, vm, { ask: exactAsk(first, first + 1), request })
    }
    if (roll < 45) return this.#close(slot, vm)
    if (roll < 49) return this.#freeRange(slot, vm)
    if (roll < 53) return this.#unbindAll(slot, vm)
    if (roll < 57) return this.#device(vm)
    if (some === undefined) return
    if (roll < 68) return this.#free(slot, vm, some)
    if (roll < 86) return this.#bind(slot, vm, some)
    if (roll < 93) return this.#unbind(slot, vm, some)
    return this.#invalidate(slot, vm, some)
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from.length === 0 ? undefined : from[this.#chance(from.length)]
  }

  #request() {
    this.#requests += 1
    return requestKey(`${this.seed} ${this.#requests}`)
  }

  /** Whether it was accepted; a refusal that may not be is complained of. */
  #accepted<T>(
    what: string,
    outcome: Outcome<T>,
    ...fine: string[]
  ): outcome is Extract<Outcome<T>, { ok: true }> {
    if (outcome.ok) return true
    const { code } = outcome.refusal
    this.counts.refused += 1
    if (fine.includes(code)) this.counts.fine += 1
    else if (code !== 'LEDGER_UNAVAILABLE') {
      this.complaints.push(`${what} was refused: ${JSON.stringify(outcome.refusal)}`)
    }
    return false
  }

  async #open(slot: Slot, ask: OpenAsk): Promise<void> {
    const name = `vm-${slot.index}-${this.#requests}-${this.rig.broker.info().durableRevision}`
    const outcome = await openVm(this.rig.broker, { name, ...ask })
    if (this.#accepted('open', outcome)) {
      slot.vm = new RigVm(this.rig.broker, outcome.value.session)
      slot.belief = new Map()
      slot.returned = new Set()
      slot.refused = []
      slot.refusedOpen = undefined
      const attached = await slot.vm.attach('emu0')
      this.#accepted('attach', attached)
    } else slot.refusedOpen = ask
  }

  async #allocate(slot: Slot, vm: RigVm, ask: AllocateAsk): Promise<void> {
    const writable = this.rig.broker.info().writable
    const outcome = await vm.allocate(ask)
    if (this.#accepted('allocate', outcome, 'PASID_TAKEN')) {
      if (!writable) this.complaints.push('a grant was given while the ledger was down')
      this.counts.granted += 1
      for (const { first, count } of outcome.value.runs) {
        for (let at = first; at < first + count; at += 1) {
          if (!slot.belief.has(at)) slot.belief.set(at, 'IDLE')
        }
      }
    } else if (outcome.refusal.code === 'LEDGER_UNAVAILABLE') slot.refused.push(ask)
  }

  async #close(slot: Slot, vm: RigVm): Promise<void> {
    slot.vm = undefined
    slot.belief = new Map()
    slot.refused = []
    const outcome = await vm.close()
    if (this.#accepted('close', outcome) && !outcome.value.durable) this.#closedLater.add(vm.id)
  }

  async #free(slot: Slot, vm: RigVm, pasid: number): Promise<void> {
    slot.belief.delete(pasid)
    const request = this.#request()
    const outcome = await vm.free([pasid], { request })
    if (!this.#accepted('free', outcome)) return
    if (outcome.value.freed !== 1) this.complaints.push(`${pasid} was freed already`)
    if (!outcome.value.durable) slot.returned.add(pasid)
    const again = await vm.free([pasid], { request })
    if (this.#accepted('free again', again) && again.value.freed !== 1) {
      this.complaints.push(`the second answer to the free of ${pasid} is another`)
    }
  }

  async #freeRange(slot: Slot, vm: RigVm): Promise<void> {
    const { belief } = slot
    slot.belief = new Map()
    const outcome = await vm.freeRange(undefined, { request: this.#request() })
    if (!this.#accepted('free range', outcome)) return
    if (outcome.value.freed !== belief.size) {
      this.complaints.push(`all ${belief.size} were freed, answered ${outcome.value.freed}`)
    }
    if (!outcome.value.durable) for (const pasid of belief.keys()) slot.returned.add(pasid)
  }

  async #bind(slot: Slot, vm: RigVm, pasid: number): Promise<void> {
    const replace = slot.belief.get(pasid) === 'BOUND'
    // A number of its own on the device: guest PASIDs are unique there.
    const ask = { replace, table: tableAt(1 + this.#chance(1000)), domain: this.#chance(8) }
    const outcome = await vm.bind(pasid, ask)
    // Not attached: the attach was refused when the session was opened.
    if (this.#accepted('bind', outcome, 'DEVICE_NOT_ATTACHED')) slot.belief.set(pasid, 'BOUND')
    else if (outcome.refusal.code === 'DEVICE_NOT_ATTACHED') {
      this.#accepted('attach', await vm.attach('emu0'), 'DEVICE_ALREADY_ATTACHED')
    }
  }

  async #unbind(slot: Slot, vm: RigVm, pasid: number): Promise<void> {
    const bound = slot.belief.get(pasid) === 'BOUND'
    const outcome = await vm.unbind(pasid)
    if (this.#accepted('unbind', outcome, ...(bound ? [] : ['NOT_BOUND']))) {
      slot.belief.set(pasid, 'IDLE')
    } else if (bound) this.complaints.push(`the unbind of ${pasid} was not served`)
  }

  async #unbindAll(slot: Slot, vm: RigVm): Promise<void> {
    if (!this.#accepted('unbind all', await vm.unbindAll())) return
    for (const pasid of slot.belief.keys()) slot.belief.set(pasid, 'IDLE')
  }

  async #invalidate(slot: Slot, vm: RigVm, pasid: number): Promise<void> {
    const bound = slot.belief.get(pasid) === 'BOUND'
    const outcome = await vm.invalidate(pasid)
    this.#accepted('invalidate', outcome, ...(bound ? [] : ['NOT_BOUND']))
    if (bound && !outcome.ok) this.complaints.push(`an invalidation of ${pasid} was not served`)
  }

  /** The device that only one can have comes and goes. */
  async #device(vm: RigVm): Promise<void> {
    const attached = await vm.attach('emu1', this.#request())
    const taken = ['DEVICE_IN_USE', 'DEVICE_ALREADY_ATTACHED']
    if (this.#accepted('attach', attached, ...taken) || this.#chance(2) === 0) {
      this.#accepted('detach', await vm.detach('emu1', this.#request()), 'DEVICE_NOT_ATTACHED')
    }
  }
}
