/**
 * One VM over a real socket, for tests that kill the daemon: it calls, one call after the other,
 * and remembers what it was told and what it was never answered. It survives the daemon: `judge`
 * holds what the next incarnation shows against its memory, `settle` asks again what was in doubt,
 * with the same request ids. Even ones use unary calls, odd ones a Control stream.
 */

import { randomUUID } from 'node:crypto'
import {
  PasidClient,
  PasidError,
  type Allocation,
  type ControlSession,
  type PasidSession,
} from '../../src/client/index.js'

type Ask =
  | { readonly one: Record<string, never> }
  | { readonly block: { readonly size: number } }
  | { readonly exact: { readonly pasids: number[] } }

/** A call that was not answered. */
type Doubt =
  | { readonly kind: 'open'; readonly requestId: string }
  | { readonly kind: 'allocate'; readonly requestId: string; readonly ask: Ask }
  | { readonly kind: 'free'; readonly requestId: string; readonly pasids: number[] }
  | { readonly kind: 'attach' | 'binding' | 'close' }

/** A call that was answered, to be asked again. */
type Answered =
  | { readonly kind: 'allocate'; readonly requestId: string; readonly ask: Ask; answer: string }
  | { readonly kind: 'free'; readonly requestId: string; readonly pasids: number[]; answer: string }

/**
 * What a number's binding may be after a crash: what it was when something durable was last
 * answered, or anything that was asked since. Bindings are recorded in order, and not waited for.
 */
interface Held {
  bound: boolean
  possible: Set<boolean>
  /** Of the bind that stands. */
  revision: number
}

/** Of them some are asked for again after each crash. */
const ANSWERS_KEPT = 4
const DEVICE = 'devices/emu0'

export interface LoadWindow {
  readonly first: number
  readonly last: number
}

export class LoadClient {
  readonly complaints: string[] = []
  readonly counts = { calls: 0, doubts: 0, happened: 0, grants: 0 }
  readonly #held = new Map<number, Held>()
  #client: PasidClient | undefined
  #session: PasidSession | undefined
  #control: ControlSession | undefined
  #known: { readonly name: string; readonly token: string } | undefined
  #doubt: Doubt | undefined
  #answered: Answered[] = []

  constructor(
    readonly index: number,
    private readonly chance: (below: number) => number,
    private readonly window: LoadWindow,
  ) {}

  get session(): string | undefined {
    return this.#known?.name
  }

  get held(): Iterable<number> {
    return this.#held.keys()
  }

  get openInDoubt(): boolean {
    return this.#doubt?.kind === 'open'
  }

  connect(socket: string): void {
    this.#client = new PasidClient({ socket, retry: { attempts: 1 } })
    this.#session = undefined
    this.#control = undefined
  }

  disconnect(): void {
    this.#control?.cancel()
    this.#client?.close()
  }

  /** Calls until the daemon is gone or `over` says so. */
  async work(over: () => boolean): Promise<void> {
    try {
      while (!over()) {
        this.counts.calls += 1
        await this.#call()
      }
    } catch (error) {
      // Without a reason the broker said nothing: the connection is gone, the call is in doubt.
      if (!(error instanceof PasidError) || error.reason !== '') throw error
      this.counts.doubts += 1
    }
  }

  /** What the list of a new incarnation shows of this VM's session that it must not show. */
  judge(rows: readonly Allocation[], isThere: boolean, recovered: number): string[] {
    const wrong = this.complaints.splice(0)
    const doubt = this.#doubt
    const say = (text: string) => wrong.push(`client ${this.index}: ${text}`)
    if (this.#known === undefined) return wrong
    if (!isThere) {
      if (doubt?.kind !== 'close') say('its session is gone')
      else this.#forget()
      return wrong
    }
    const seen = new Map(rows.map((row) => [row.pasid, row]))
    const freeing = doubt?.kind === 'free' ? doubt.pasids : []
    for (const [pasid, held] of this.#held) {
      const row = seen.get(pasid)
      if (row === undefined) {
        say(`${pasid} was granted and is not held`)
        continue
      }
      seen.delete(pasid)
      const bound = row.bindings.some(({ state }) => state === 'BINDING_STATE_BOUND')
      const known = held.bound && held.possible.size === 1
      if (!held.possible.has(bound)) say(`${pasid} is ${bound ? '' : 'not '}bound`)
      if (known && held.revision <= recovered && !bound) say(`${pasid} lost its binding`)
      held.bound = bound
      held.possible = new Set([bound])
    }
    const whole = freeing.length > 0 && freeing.every((pasid) => seen.delete(pasid))
    if (!whole && freeing.some((pasid) => seen.has(pasid))) say('a free was carried out in part')
    if (doubt?.kind === 'allocate') this.#judgeGrant(doubt.ask, [...seen.keys()], say)
    else if (seen.size > 0) say(`holds ${[...seen.keys()]} and was not told so`)
    return wrong
  }

  /** What came of a grant in doubt: all of it, and of the right shape, or nothing. */
  #judgeGrant(ask: Ask, extra: readonly number[], say: (text: string) => void): void {
    if (extra.length === 0) return
    this.counts.happened += 1
    const sorted = [...extra].sort((a, b) => a - b)
    const [first = 0] = sorted
    const block = 'block' in ask ? ask.block.size : 1
    const aligned = sorted.every((pasid, i) => pasid === first + i) && first % block === 0
    const fits =
      'exact' in ask ? `${sorted}` === `${ask.exact.pasids}` : aligned && sorted.length === block
    if (!fits) say(`${JSON.stringify(ask)} in doubt left ${sorted}`)
  }

  /** Asks again what was in doubt, and some of what was answered. */
  async settle(rows: readonly Allocation[]): Promise<string[]> {
    const doubt = this.#doubt
    if (doubt?.kind === 'open') await this.#open(doubt.requestId)
    if (doubt?.kind === 'close' && this.#known !== undefined) await this.#close()
    if (doubt?.kind === 'free') await this.#free(doubt.pasids, doubt.requestId)
    if (doubt?.kind === 'attach') await this.#attach()
    if (doubt?.kind === 'allocate') {
      const before = rows.map(({ pasid }) => pasid).filter((pasid) => !this.#held.has(pasid))
      const granted = await this.#allocate(doubt.ask, doubt.requestId)
      if (before.length > 0 && `${before}` !== `${granted}`) {
        this.complaints.push(`client ${this.index}: held ${before}, told ${granted} on retry`)
      }
    }
    this.#doubt = undefined
    for (const answered of this.#answered) {
      const again =
        answered.kind === 'allocate'
          ? await this.#askToAllocate(answered.ask, answered.requestId)
          : await this.#askToFree(answered.pasids, answered.requestId)
      if (JSON.stringify(again) === answered.answer) continue
      const text = `${answered.answer}, then ${JSON.stringify(again)}`
      this.complaints.push(`client ${this.index}: ${answered.kind} was answered ${text}`)
    }
    return this.complaints.splice(0)
  }

  // -- the calls ----------------------------------------------------------------------------------

  async #call(): Promise<unknown> {
    if (this.#known === undefined) return this.#open(randomUUID())
    const roll = this.chance(100)
    const some = [...this.#held.keys()][this.chance(Math.max(1, this.#held.size))]
    if (roll < 2) return this.#close()
    if (roll < 24) return this.#allocate({ one: {} }, randomUUID())
    if (roll < 32) {
      const ask = { block: { size: 2 ** this.chance(5) } }
      return this.#allocate(ask, randomUUID())
    }
    if (roll < 40) {
      const first = this.window.first + this.chance(this.window.last - this.window.first)
      const ask = { exact: { pasids: [first, first + 1] } }
      return this.#allocate(ask, randomUUID())
    }
    if (some === undefined) return undefined
    if (roll < 64) return this.#free([some], randomUUID())
    if (roll < 68) return this.#free([...this.#held.keys()], randomUUID())
    if (roll < 88) return this.#bind(some)
    return this.#unbind(some)
  }

  /** One call of the session, by either way. */
  async #ask<C extends 'allocatePasids' | 'freePasids' | 'bindPasid' | 'unbindPasids'>(
    command: C,
    request: Parameters<PasidSession[C]>[0],
  ): Promise<Awaited<ReturnType<PasidSession[C]>>> {
    type Answer = Awaited<ReturnType<PasidSession[C]>>
    const { name = '', token = '' } = this.#known ?? {}
    this.#session ??= this.#client?.session(name, token)
    if (this.#session === undefined) throw new Error('connect() comes first')
    if (this.index % 2 === 0) {
      const call = this.#session[command].bind(this.#session) as (
        request: Parameters<PasidSession[C]>[0],
      ) => Promise<unknown>
      return (await call(request)) as Answer
    }
    this.#control ??= await this.#session.control()
    return (await this.#control.send(command, request as never)) as Answer
  }

  /** Undefined when it was refused for one of the reasons that are fine. */
  async #unless<T>(fine: readonly string[], call: Promise<T>): Promise<T | undefined> {
    try {
      return await call
    } catch (error) {
      if (!(error instanceof PasidError) || error.reason === '') throw error
      this.#doubt = undefined
      if (!fine.includes(error.reason)) {
        this.complaints.push(`client ${this.index}: ${error.reason} ${error.message}`)
      }
      return undefined
    }
  }

  /** Something durable was answered: the bindings recorded before are too. */
  #durable(): void {
    this.#doubt = undefined
    for (const held of this.#held.values()) held.possible = new Set([held.bound])
  }

  #forget(): void {
    this.#known = undefined
    this.#session = undefined
    this.#control?.cancel()
    this.#control = undefined
    this.#held.clear()
    this.#answered = []
    this.#doubt = undefined
  }

  async #open(requestId: string): Promise<void> {
    this.#doubt = { kind: 'open', requestId }
    const opened = await this.#client?.openSession({ requestId })
    if (opened === undefined) return
    this.#known = { name: opened.name, token: opened.token }
    this.#session = opened
    await this.#attach()
  }

  async #attach(): Promise<void> {
    this.#doubt = { kind: 'attach' }
    const { name = '', token = '' } = this.#known ?? {}
    this.#session ??= this.#client?.session(name, token)
    const attaching = this.#session?.attachDevice({ device: DEVICE })
    await this.#unless(['DEVICE_ALREADY_ATTACHED'], attaching ?? Promise.resolve(undefined))
    this.#doubt = undefined
  }

  async #close(): Promise<void> {
    this.#doubt = { kind: 'close' }
    const { name = '', token = '' } = this.#known ?? {}
    this.#session ??= this.#client?.session(name, token)
    await this.#session?.closeSession()
    this.#forget()
  }

  #askToAllocate(ask: Ask, requestId: string) {
    const { first: min, last: max } = this.window
    return this.#ask('allocatePasids', { ...ask, requestId, min, max }).then(
      ({ ranges, generation }) => ({ ranges, generation }),
    )
  }

  async #allocate(ask: Ask, requestId: string): Promise<number[]> {
    this.#doubt = { kind: 'allocate', requestId, ask }
    const fine = ['NAMESPACE_EXHAUSTED', 'PASID_TAKEN', 'PASID_OUT_OF_RANGE', 'QUOTA_EXCEEDED']
    const answer = await this.#unless(fine, this.#askToAllocate(ask, requestId))
    if (answer === undefined) return []
    const granted: number[] = []
    for (const { first, last } of answer.ranges) {
      for (let pasid = first; pasid <= last; pasid += 1) granted.push(pasid)
    }
    for (const pasid of granted) {
      this.#held.set(pasid, { bound: false, possible: new Set([false]), revision: 0 })
    }
    this.counts.grants += 1
    this.#durable()
    this.#keep({ kind: 'allocate', requestId, ask, answer: JSON.stringify(answer) })
    return granted
  }

  /** Without the headroom, which is of the answer and not of the free. */
  async #askToFree(pasids: number[], requestId: string) {
    const { freed, durable } = await this.#ask('freePasids', { pasids: { pasids }, requestId })
    return { freed, durable }
  }

  async #free(pasids: number[], requestId: string): Promise<void> {
    for (const pasid of pasids) this.#held.delete(pasid)
    this.#doubt = { kind: 'free', requestId, pasids }
    const answer = await this.#unless([], this.#askToFree(pasids, requestId))
    if (answer === undefined) return
    if (answer.freed !== pasids.length || !answer.durable) {
      const text = `freed ${pasids}, answered ${JSON.stringify(answer)}`
      this.complaints.push(`client ${this.index}: ${text}`)
    }
    this.#durable()
    this.#keep({ kind: 'free', requestId, pasids, answer: JSON.stringify(answer) })
  }

  #keep(answered: Answered): void {
    this.#answered.push(answered)
    if (this.#answered.length > ANSWERS_KEPT) this.#answered.shift()
  }

  async #bind(pasid: number): Promise<void> {
    const held = this.#held.get(pasid)
    if (held === undefined) return
    held.possible.add(true)
    this.#doubt = { kind: 'binding' }
    const firstStage = { address: `${4096 * (1 + this.chance(1000))}`, addressWidth: 48 }
    const target = { pasid, devices: [DEVICE], domain: this.chance(9), replace: held.bound }
    const { revision } = await this.#ask('bindPasid', { ...target, firstStage })
    this.#doubt = undefined
    held.bound = true
    held.revision = Number(revision)
  }

  async #unbind(pasid: number): Promise<void> {
    const held = this.#held.get(pasid)
    if (held === undefined) return
    held.possible.add(false)
    this.#doubt = { kind: 'binding' }
    const fine = held.bound ? [] : ['NOT_BOUND']
    await this.#unless(fine, this.#ask('unbindPasids', { target: { pasid } }))
    this.#doubt = undefined
    held.bound = false
  }
}
