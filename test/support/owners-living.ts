/**
 * A session that lives while others die: it grants, binds, invalidates, unbinds and gives back all
 * the time, keeps some bindings throughout, and remembers when it was granted what and how long
 * each answer took.
 */
import {
  rowsOf,
  type ControlSession,
  type PasidClient,
  type PasidSession,
} from '../../src/client/index.js'
import { DEVICE, TABLE } from './delegate.js'

const WORKERS = 4
const CACHES = ['INVALIDATION_CACHE_IOTLB' as const]

/** What it was granted, and when it was told: performance.now(). */
export interface Granted {
  readonly pasid: number
  readonly at: number
}

interface Sample {
  readonly at: number
  readonly ms: number
}

export interface Quantiles {
  readonly count: number
  readonly p50: number
  readonly p99: number
}

export function quantiles(ms: readonly number[]): Quantiles {
  const sorted = [...ms].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0
  return { count: sorted.length, p50: at(0.5), p99: at(0.99) }
}

/** Both, and how much the second is of the first. */
export function compared(before: Quantiles, during: Quantiles): string {
  const ms = (value: number) => value.toFixed(1)
  const ratio = (one: number, other: number) => (other / Math.max(one, 0.001)).toFixed(2)
  return (
    `p50 ${ms(before.p50)} -> ${ms(during.p50)} ms (x ${ratio(before.p50, during.p50)}), ` +
    `p99 ${ms(before.p99)} -> ${ms(during.p99)} ms (x ${ratio(before.p99, during.p99)}), ` +
    `${before.count} and ${during.count} calls`
  )
}

export class Living {
  readonly grants: Granted[] = []
  /** Bound all the time. */
  readonly kept: number[] = []
  readonly #session: PasidSession
  readonly #control: ControlSession
  /** Durable ones, and those that never wait for the disk. */
  readonly #samples = { allocate: [] as Sample[], invalidate: [] as Sample[] }
  #generations = ''
  #over = false
  #work: Promise<unknown> | undefined
  #failure: Error | undefined

  private constructor(session: PasidSession, control: ControlSession) {
    this.#session = session
    this.#control = control
  }

  static async open(client: PasidClient, keeps: number): Promise<Living> {
    const session = await client.openSession()
    const living = new Living(session, await session.control())
    await living.#control.send('attachDevice', { device: DEVICE })
    for (let i = 0; i < keeps; i += 1) living.kept.push(await living.#one())
    await Promise.all(living.kept.map((pasid) => living.#bind(pasid)))
    living.#generations = await living.#look()
    return living
  }

  /** Works until `stop`. */
  start(): void {
    this.#work = Promise.all(Array.from({ length: WORKERS }, (_, at) => this.#worker(at)))
    // Told by stop(), which everybody calls, and to who waits for more.
    this.#work.catch((error: unknown) => {
      this.#failure = new Error('a call of the living one failed', { cause: error })
    })
  }

  /** @throws what a call of it failed with: none may */
  async stop(): Promise<void> {
    this.#over = true
    await this.#work
  }

  /** Resolves when that is so. @throws what a call of it failed with */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.#failure !== undefined) throw this.#failure
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  /** Of the calls that ended between the two instants of performance.now(). */
  between(kind: 'allocate' | 'invalidate', from: number, to: number): Quantiles {
    const inside = this.#samples[kind].filter(({ at }) => at >= from && at < to)
    return quantiles(inside.map(({ ms }) => ms))
  }

  /** What is wrong with the bindings that it keeps; '' when they are as on the first day. */
  async problem(): Promise<string> {
    for (const pasid of this.kept) {
      const { done } = await this.#session.invalidate([{ pasid: { pasid }, caches: CACHES }])
      if (done !== 1) return `${pasid}: ${done} invalidated`
    }
    const now = await this.#look()
    return now === this.#generations ? '' : `before: ${this.#generations}; now: ${now}`
  }

  /** One number more. @throws PasidError */
  async #one(): Promise<number> {
    const { ranges } = await this.#control.send('allocatePasids', { one: {} })
    return ranges[0]?.first ?? 0
  }

  #bind(pasid: number): Promise<unknown> {
    const what = { pasid, devices: [DEVICE], domain: 1, ...TABLE }
    return this.#control.send('bindPasid', what)
  }

  async #timed<T>(kind: 'allocate' | 'invalidate', work: () => Promise<T>): Promise<T> {
    const began = performance.now()
    const result = await work()
    const at = performance.now()
    this.#samples[kind].push({ at, ms: at - began })
    return result
  }

  #invalidate(pasid: number): Promise<unknown> {
    return this.#timed('invalidate', async () => {
      const entries = [{ pasid: { pasid }, caches: CACHES }]
      const { done } = await this.#control.send('invalidate', { entries })
      if (done !== 1) throw new Error(`${pasid}: ${done} of 1 invalidated`)
    })
  }

  async #worker(at: number): Promise<void> {
    for (let turn = at; !this.#over; turn += WORKERS) {
      const pasid = await this.#timed('allocate', () => this.#one())
      this.grants.push({ pasid, at: performance.now() })
      await this.#bind(pasid)
      await this.#invalidate(pasid)
      await this.#invalidate(this.kept[turn % this.kept.length] ?? pasid)
      await this.#control.send('unbindPasids', { target: { pasid } })
      await this.#control.send('freePasids', { pasids: { pasids: [pasid] } })
    }
  }

  async #look(): Promise<string> {
    const rows: string[] = []
    for await (const row of rowsOf(this.#session.listPasids({ pageSize: 5000 }))) {
      if (!this.kept.includes(row.pasid)) continue
      const bound = row.bindings.map(({ device, state }) => `${device} ${state}`)
      rows.push(`${row.pasid} of ${row.generation} on ${bound.join()}`)
    }
    return rows.join('; ')
  }
}
