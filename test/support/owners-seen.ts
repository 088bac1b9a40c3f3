/**
 * What operators see of sessions whose owners ended: lists, audit, metrics, the feed of changes.
 */
import http from 'node:http'
import path from 'node:path'
import {
  rowsOf,
  type Allocation,
  type AuditEvent,
  type OperatorClient,
  type Session,
  type Watch,
} from '../../src/client/index.js'

const PAGE = 5000

export async function all<Row>(
  pages: AsyncGenerator<readonly Row[], void, undefined>,
): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of rowsOf(pages)) rows.push(row)
  return rows
}

export function sessionsOf(operator: OperatorClient, tenant: string): Promise<Session[]> {
  return all(operator.sessions({ pageSize: PAGE, filter: `tenant = ${tenant}` }))
}

export function allocations(operator: OperatorClient, filter: string): Promise<Allocation[]> {
  return all(operator.allocations({ pageSize: PAGE, filter }))
}

export function audited(operator: OperatorClient, action: string): Promise<AuditEvent[]> {
  return all(operator.auditEvents({ pageSize: PAGE, filter: `action = ${action}` }))
}

/** Session -> how its owner's end was noticed, of all that were reclaimed; each once. */
export async function reclaimed(operator: OperatorClient): Promise<Map<string, string>> {
  const causes = new Map<string, string>()
  for (const { subject, cause, outcome } of await audited(operator, 'RECLAIM')) {
    if (outcome !== 'DONE') throw new Error(`${subject}: ${cause}, ${outcome}`)
    if (causes.has(subject)) throw new Error(`${subject} is reclaimed twice`)
    causes.set(subject, cause)
  }
  return causes
}

/** Resolves when there is no session of the tenant but `left` of them. */
export async function gone(operator: OperatorClient, tenant: string, left = 0): Promise<void> {
  // One row tells whether there is any; how many there are takes all pages.
  const count = async (): Promise<number> => {
    if (left > 0) return (await sessionsOf(operator, tenant)).length
    const page = await operator.sessions({ pageSize: 1, filter: `tenant = ${tenant}` }).next()
    return page.done === true ? 0 : page.value.length
  }
  while ((await count()) > left) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** Samples without a label, or with one, as they are written. */
export function scrape(adminSocket: string): Promise<ReadonlyMap<string, number>> {
  const socketPath = path.join(path.dirname(adminSocket), 'metrics.sock')
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, path: '/metrics', agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      response.on('end', () => {
        const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
        resolve(new Map(lines.map((line) => sampleOf(line))))
      })
    })
    request.on('error', reject).end()
  })
}

function sampleOf(line: string): [string, number] {
  const at = line.lastIndexOf(' ')
  return [line.slice(0, at), Number(line.slice(at + 1))]
}

/** Follows who has each number, change by change, and writes down what must not be. */
export class FeedWitness {
  readonly problems: string[] = []
  /** Grants of numbers that had been given back before, as it saw it. */
  reused = 0
  resyncs = 0
  readonly #watch: Watch
  readonly #holders = new Map<number, string>()
  readonly #resting = new Set<number>()
  readonly #done: Promise<void>

  constructor(operator: OperatorClient) {
    this.#watch = operator.watch()
    this.#done = this.#follow()
    // Told by stop(); a test that has failed does not get there.
    this.#done.catch(() => undefined)
  }

  /** As it was when the feed began. */
  knows(session: string, first: number, count: number): void {
    for (let pasid = first; pasid < first + count; pasid += 1) this.#holders.set(pasid, session)
  }

  async stop(): Promise<void> {
    this.#watch.cancel()
    await this.#done
  }

  async #follow(): Promise<void> {
    for await (const { change, resync } of this.#watch) {
      if (resync !== null && resync !== undefined) {
        // What was missed may have been anything.
        this.resyncs += 1
        this.#holders.clear()
        this.#resting.clear()
      }
      for (const { numbers } of change?.events ?? []) {
        if (numbers === null || numbers === undefined) continue
        for (const { first, last } of numbers.ranges) {
          for (let pasid = first; pasid <= last; pasid += 1) {
            this.#saw(pasid, numbers.state, numbers.session)
          }
        }
      }
    }
  }

  #saw(pasid: number, state: string, session: string): void {
    const holder = this.#holders.get(pasid)
    if (state === 'ALLOCATION_STATE_IDLE') {
      if (holder !== undefined) this.problems.push(`${pasid} of ${holder} is given to ${session}`)
      if (this.#resting.delete(pasid)) this.reused += 1
      this.#holders.set(pasid, session)
      return
    }
    if (holder !== undefined && holder !== session) {
      this.problems.push(`${pasid} of ${holder} is given back by ${session}`)
    }
    if (state !== 'ALLOCATION_STATE_QUARANTINED') return
    this.#holders.delete(pasid)
    this.#resting.add(pasid)
  }
}
