/**
 * Page requests of devices, from the backend to the session whose binding they came through, and
 * the answers back. Each group is answered once: by the VMM, with INVALID at its deadline or when
 * the session has too many waiting, or by the backend itself when its binding is torn down.
 *
 * What always holds: a session's waiting groups are bounded; each has a timer; one subscriber of a
 * session is its receiver, the last that asked, and no other takes over when that one ends. Groups
 * wait for a receiver, and a new one is given all that wait, those included that a former one got.
 */

import { BackendFault, type PageRequestAnswer, type RaisedGroup } from '../backend/backend.js'
import type { DeviceId, SessionId, Target } from '../core/ids.js'
import { accept, type Outcome } from '../core/refusal.js'
import type { Subscriber } from './answers.js'
import { no, refusalOf, type Context } from './context.js'
import { PageRequestTokens, type NamedGroup } from './page-request-tokens.js'
import type { PageRequestEnd } from './ports.js'
import { report } from './teardown.js'

export interface PageRequestPolicy {
  /** A group that is not answered by then is answered INVALID. */
  readonly deadlineMs: number
  /** Groups of one session that wait; those beyond are answered INVALID at once. */
  readonly pendingMax: number
  /** Secret, and the same for the ledger's life. */
  readonly tokenKey: Uint8Array
}

export interface PageResponse {
  readonly session: SessionId
  readonly token: Uint8Array
  readonly code: PageRequestAnswer['code']
}

/** After a passing fault of the backend an INVALID is tried again. */
const RETRY_MS = 100
const SERIALS = 2 ** 32
/** Bits of a group index. */
const GROUPS = 512

interface Pending {
  readonly raised: RaisedGroup
  readonly key: number
  readonly named: NamedGroup
  readonly token: Uint8Array
  /** It waited before this run began: tokens of earlier runs may name it. */
  readonly isOld: boolean
  deliveredTo: Subscriber | undefined
  /** While the backend is told an answer. */
  answering: Promise<BackendFault | undefined> | undefined
  cancel: () => void
}

export class PageRequests {
  readonly #context: Context
  readonly #policy: PageRequestPolicy
  readonly #tokens: PageRequestTokens
  readonly #run: number
  readonly #pending = new Map<number, Pending>()
  readonly #bySession = new Map<SessionId, Set<Pending>>()
  readonly #receivers = new Map<SessionId, Subscriber>()
  readonly #retries = new Set<() => void>()
  #serial = 0
  #life: 'beginning' | 'running' | 'stopped' = 'beginning'

  constructor(context: Context, policy: PageRequestPolicy) {
    this.#context = context
    this.#policy = policy
    this.#tokens = new PageRequestTokens(policy.tokenKey)
    this.#run = Buffer.from(context.ports.chance.bytes(4)).readUInt32BE(0)
  }

  /** Groups that wait for an answer. */
  get waiting(): number {
    return this.#pending.size
  }

  /** What the backend has told until now waited before this run. */
  begun(): void {
    if (this.#life === 'beginning') this.#life = 'running'
  }

  stop(): void {
    this.#life = 'stopped'
    for (const { cancel } of this.#pending.values()) cancel()
    for (const cancel of this.#retries) cancel()
    this.#retries.clear()
  }

  // -- what the backend tells ---------------------------------------------------------------------

  raised(raised: RaisedGroup): void {
    const { state, ports } = this.#context
    const { session } = raised
    const device = state.deviceByName.get(raised.device)?.id
    if (this.#life === 'stopped') return
    if (device === undefined || !state.sessions.has(session)) return this.#deny(raised, 'dropped')
    const own = this.#bySession.get(session) ?? new Set()
    if (own.size >= this.#policy.pendingMax) return this.#deny(raised, 'overflow')
    const { deadlineMs } = this.#policy
    const deadlineAt = ports.clock.wall() + deadlineMs
    const { target, group } = raised
    this.#serial = (this.#serial + 1) % SERIALS
    const run = { run: this.#run, serial: this.#serial }
    const named = { session, device, target, group, ...run, deadlineAt }
    const pending: Pending = {
      raised,
      key: keyOf(device, target, group),
      named,
      token: this.#tokens.make(named),
      isOld: this.#life === 'beginning',
      deliveredTo: undefined,
      answering: undefined,
      cancel: ports.clock.after(deadlineMs, () => this.#expire(pending)),
    }
    this.#pending.set(pending.key, pending)
    own.add(pending)
    this.#bySession.set(session, own)
    this.#deliver(pending)
  }

  gone(raised: Omit<RaisedGroup, 'pages'>): void {
    const device = this.#context.state.deviceByName.get(raised.device)?.id
    if (device === undefined) return
    const pending = this.#pending.get(keyOf(device, raised.target, raised.group))
    if (pending !== undefined) this.#end(pending, 'dropped')
  }

  // -- who receives -------------------------------------------------------------------------------

  /** The subscriber is its session's receiver until the returned function is called. */
  receive(subscriber: Subscriber): () => void {
    const { session } = subscriber
    this.#receivers.set(session, subscriber)
    // Not before subscribe() has returned: what is delivered may end the subscription.
    Promise.resolve()
      .then(() => {
        for (const pending of this.#bySession.get(session) ?? []) this.#deliver(pending)
      })
      .catch((error: unknown) => this.#context.ports.telemetry.bug(error))
    return () => {
      if (this.#receivers.get(session) === subscriber) this.#receivers.delete(session)
    }
  }

  #deliver(pending: Pending): void {
    const { session, device, target, pages } = pending.raised
    const receiver = this.#receivers.get(session)
    if (receiver === undefined || pending.deliveredTo === receiver) return
    pending.deliveredTo = receiver
    const { deadlineAt } = pending.named
    const { token } = pending
    receiver.deliver({ kind: 'page-request', token, device, target, pages, deadlineAt })
  }

  // -- answers ------------------------------------------------------------------------------------

  async respond({ session, token, code }: PageResponse): Promise<Outcome<undefined>> {
    const named = this.#tokens.read(token)
    if (named?.session !== session) return this.#notFound()
    const pending = this.#pending.get(keyOf(named.device, named.target, named.group))
    if (pending === undefined) return this.#respondUntold(named, code)
    const { serial, run } = pending.named
    const isMeant = pending.isOld ? named.run !== run : named.run === run && named.serial === serial
    const isOwn = named.run === run && named.serial === serial
    if (pending.raised.session !== session || !(isMeant || isOwn)) return this.#notFound()
    return this.#settle(pending, code)
  }

  /** The answer to a group that is named by its index, as a page-group-response descriptor does. */
  async respondToGroup(session: SessionId, answer: PageRequestAnswer): Promise<Outcome<undefined>> {
    const device = this.#context.state.deviceByName.get(answer.device)?.id
    if (device === undefined) return this.#notFound()
    const pending = this.#pending.get(keyOf(device, answer.target, answer.group))
    if (pending?.raised.session !== session) return this.#notFound()
    return this.#settle(pending, answer.code)
  }

  /** Answers INVALID everything of the session that waits; what is being answered is waited for. */
  async drain(session: SessionId): Promise<void> {
    const own = [...(this.#bySession.get(session) ?? [])]
    await Promise.all(own.map((pending) => this.#give(pending, 'INVALID', 'dropped')))
  }

  async #settle(pending: Pending, code: PageRequestAnswer['code']): Promise<Outcome<undefined>> {
    // It has its answer, only the device has not heard it yet.
    if (pending.answering !== undefined) return this.#notFound()
    const fault = await this.#give(pending, code, 'answered')
    if (fault === undefined) return accept(undefined)
    if (fault.kind === 'REFUSE') return this.#notFound()
    return no(this.#context, refusalOf(pending.raised.device, fault))
  }

  /** Tells the backend, if nobody does yet; after RETRY the group still waits. */
  async #give(
    pending: Pending,
    code: PageRequestAnswer['code'],
    end: PageRequestEnd,
  ): Promise<BackendFault | undefined> {
    if (pending.answering !== undefined) return pending.answering
    pending.answering = this.#tell(pending.raised, code)
    const fault = await pending.answering
    pending.answering = undefined
    if (fault?.kind === 'RETRY') return fault
    this.#end(pending, fault === undefined ? end : 'dropped')
    return fault
  }

  async #tell(
    { device, target, group }: RaisedGroup,
    code: PageRequestAnswer['code'],
  ): Promise<BackendFault | undefined> {
    try {
      await this.#context.backend.respond({ device, target, group, code })
      return undefined
    } catch (fault) {
      if (!(fault instanceof BackendFault)) throw fault
      // REFUSE is no news: the backend has answered or dropped it meanwhile.
      if (fault.kind !== 'REFUSE') report(this.#context, device, 'respond', fault)
      return fault
    }
  }

  /** A backend that outlives the daemon need not tell the next one what still waits. */
  async #respondUntold(
    named: NamedGroup,
    code: PageRequestAnswer['code'],
  ): Promise<Outcome<undefined>> {
    const { state, ports } = this.#context
    const device = state.devices.get(named.device)?.name
    const isOver = named.run === this.#run || ports.clock.wall() >= named.deadlineAt
    if (isOver || device === undefined) return this.#notFound()
    const { session, target, group } = named
    if (state.bindingAt(named.device, target)?.session !== session) return this.#notFound()
    const fault = await this.#tell({ device, target, session, group, pages: [] }, code)
    if (fault?.kind === 'REFUSE') return this.#notFound()
    if (fault !== undefined) return no(this.#context, refusalOf(device, fault))
    ports.telemetry.pageRequestEnded('answered')
    return accept(undefined)
  }

  // -- ends ---------------------------------------------------------------------------------------

  #expire(pending: Pending): void {
    this.#give(pending, 'INVALID', 'deadline')
      .then((fault) => {
        const still = this.#pending.get(pending.key) === pending && this.#life !== 'stopped'
        if (fault?.kind !== 'RETRY' || !still) return
        pending.cancel = this.#context.ports.clock.after(RETRY_MS, () => this.#expire(pending))
      })
      .catch((error: unknown) => this.#context.ports.telemetry.bug(error))
  }

  /** INVALID for a group that is not even kept. */
  #deny(raised: RaisedGroup, end: PageRequestEnd): void {
    const { clock, telemetry } = this.#context.ports
    telemetry.pageRequestEnded(end)
    const attempt = (): void => {
      this.#tell(raised, 'INVALID')
        .then((fault) => {
          if (fault?.kind !== 'RETRY' || this.#life === 'stopped') return
          const cancel = clock.after(RETRY_MS, () => {
            this.#retries.delete(cancel)
            attempt()
          })
          this.#retries.add(cancel)
        })
        .catch((error: unknown) => telemetry.bug(error))
    }
    attempt()
  }

  #end(pending: Pending, end: PageRequestEnd): void {
    const { key, raised } = pending
    // A drain was first; the index may be another group's by now.
    if (this.#pending.get(key) !== pending) return
    pending.cancel()
    this.#pending.delete(key)
    const own = this.#bySession.get(raised.session)
    own?.delete(pending)
    if (own?.size === 0) this.#bySession.delete(raised.session)
    this.#context.ports.telemetry.pageRequestEnded(end)
  }

  #notFound(): Outcome<never> {
    const remedy = 'there is nothing to do: the device has its answer, or was reset'
    return no(this.#context, { code: 'PAGE_REQUEST_NOT_FOUND', remedy })
  }
}

/** One number per (device, target, group): 12, 20 and 9 bits. */
function keyOf(device: DeviceId, target: Target, group: number): number {
  return (device * 2 ** 20 + target) * GROUPS + group
}
