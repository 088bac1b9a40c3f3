/** The loads of the RPC bench: what a client process does with a target, and how long it took. */

import { randomUUID } from 'node:crypto'
import path from 'node:path'
import Database from 'better-sqlite3'
import type { ControlRequest } from '../src/wire/generated/pasid/v1/ControlRequest.js'
import { bindRequest, TABLE, type Target } from './rpc-target.js'
import type { Answers, Call, Latency, Task } from './rpc-task.js'

type TaskOf<Kind extends Task['kind']> = Extract<Task, { kind: Kind }>

/** Calls that are paced are sent at this interval, as many as are due. */
const PACE_MS = 2
/** Numbers that a paced load holds before it gives them back. */
const PACED_HELD_MAX = 4000

export async function runRate(target: Target, task: TaskOf<'rate'>): Promise<Answers['rate']> {
  const began = performance.now()
  if (task.route === 'unary') await manyUnary(target, task)
  else await manyOnStream(target, task)
  const elapsedMs = performance.now() - began
  return { perSecond: (task.calls / elapsedMs) * 1000 }
}

async function manyUnary(
  target: Target,
  { calls, inFlight, keyed }: TaskOf<'rate'>,
): Promise<void> {
  let left = calls
  const one = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await target.allocate(keyed ? randomUUID() : '')
    }
  }
  await Promise.all(Array.from({ length: inFlight }, one))
}

function manyOnStream(target: Target, task: TaskOf<'rate'>): Promise<void> {
  const { calls, inFlight } = task
  const { control } = target
  const requestOf = requestMaker(target, task)
  return new Promise((resolve, reject) => {
    let sent = 0
    let answered = 0
    control.onFailure(reject)
    const send = (): void => {
      if (sent >= calls) return
      sent += 1
      control.send(requestOf(), () => {
        answered += 1
        if (answered === calls) resolve()
        else send()
      })
    }
    for (let i = 0; i < inFlight; i += 1) send()
  })
}

function requestMaker(target: Target, { call, keyed }: TaskOf<'rate'>): () => ControlRequest {
  if (call === 'invalidate') {
    const request = invalidateRequest(target.bound)
    return () => request
  }
  return () => {
    const requestId = keyed ? randomUUID() : ''
    return { allocatePasids: { requestId, one: {}, ask: 'one' }, command: 'allocatePasids' }
  }
}

/** What is sent over Control, in turn, by the name it is reported under. */
function requestsOf(target: Target, call: Call): [string, ControlRequest][] {
  switch (call) {
    case 'allocate':
      return [['allocate', { allocatePasids: { one: {}, ask: 'one' }, command: 'allocatePasids' }]]
    case 'read':
      return [['read', { getSession: {}, command: 'getSession' }]]
    case 'invalidate':
      return [['invalidate', invalidateRequest(target.bound)]]
    case 'bind': {
      const one = { target: 'pasid', pasid: target.idle } as const
      const unbind = { unbindPasids: { target: one, what: 'target' } } as const
      return [
        ['bind', bindRequest(target.idle)],
        ['unbind', { ...unbind, command: 'unbindPasids' }],
      ]
    }
  }
}

function invalidateRequest(pasid: number): ControlRequest {
  const addresses = { target: 'pasid', pasid, address: TABLE, pages: 1, leaf: true } as const
  const entry = { granularity: 'addresses', addresses } as const
  const entries = [{ ...entry, caches: ['INVALIDATION_CACHE_IOTLB' as const] }]
  return { invalidate: { entries }, command: 'invalidate' }
}

export async function runAlone(target: Target, task: TaskOf<'alone'>): Promise<Answers['alone']> {
  const { route, call, calls } = task
  const times = new Map<string, number[]>()
  const note = (name: string, us: number): void => {
    const list = times.get(name) ?? []
    times.set(name, list)
    list.push(us)
  }
  const requests = requestsOf(target, call)
  for (let i = 0; i < calls; i += 1) {
    for (const [name, request] of requests) {
      const began = performance.now()
      if (route === 'control') await target.control.ask(request)
      else await target.allocate('')
      note(name, (performance.now() - began) * 1000)
    }
  }
  return Object.fromEntries([...times].map(([name, list]) => [name, latencyOf(list)]))
}

function latencyOf(values: readonly number[]): Latency {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN
  return { p50Us: at(0.5), p99Us: at(0.99) }
}

/** Calls at an even pace, beside whatever another process measures. */
export class PacedLoad {
  readonly #timer: NodeJS.Timeout
  readonly #began = performance.now()
  #sent = 0
  #held = 0
  #failure: unknown
  #freeing: Promise<void> = Promise.resolve()

  constructor(
    private readonly target: Target,
    private readonly task: TaskOf<'pace'>,
  ) {
    target.control.onFailure((error) => (this.#failure = error))
    this.#timer = setInterval(() => this.#send(), PACE_MS)
  }

  #send(): void {
    const due = ((performance.now() - this.#began) / 1000) * this.task.perSecond
    const [first] = requestsOf(this.target, this.task.call)
    while (this.#sent < due && first !== undefined) {
      this.#sent += 1
      this.target.control.send(first[1], () => undefined)
    }
    if (this.task.call !== 'allocate' || this.#sent - this.#held < PACED_HELD_MAX) return
    this.#held = this.#sent
    this.#freeing = this.target.free().catch((error: unknown) => {
      this.#failure = error
    })
  }

  async stop(): Promise<Answers['pause']> {
    clearInterval(this.#timer)
    await this.#freeing
    // What is still under way is answered before this is.
    await this.target.control.ask({ getSession: {}, command: 'getSession' })
    await this.target.free()
    if (this.#failure !== undefined)
      throw new Error('a paced call failed', { cause: this.#failure })
    return { calls: this.#sent }
  }
}

/** The least that durable can cost: the ledger's engine and settings, one row, one commit. */
export function runSync({ directory, commits }: TaskOf<'sync'>): Answers['sync'] {
  const db = new Database(path.join(directory, 'sync.sqlite3'))
  try {
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.exec('CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, value INTEGER)')
    const insert = db.prepare('INSERT INTO row (value) VALUES (?)')
    const times: number[] = []
    for (let i = 0; i < commits; i += 1) {
      const began = performance.now()
      insert.run(i)
      times.push((performance.now() - began) * 1000)
    }
    return latencyOf(times)
  } finally {
    db.close()
  }
}
